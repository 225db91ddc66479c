;; served: every octet of the intent is 255; judging it is the guard's work.
(module
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32)
    (memory.fill (i32.const 24576) (i32.const 255) (i32.const 64))
    (i32.const 0)))
