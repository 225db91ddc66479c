;; decide fuel: two honest decisions, which leave everything as it is; the third never returns.
(module
  (global $made (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32)
    (global.set $made (i32.add (global.get $made) (i32.const 1)))
    (if (i32.gt_u (global.get $made) (i32.const 2)) (then (loop $again (br $again))))
    (i32.store16 (i32.const 24576) (i32.const 256))
    (i32.store (i32.const 24580) (i32.const -1))
    (i32.const 0)))
