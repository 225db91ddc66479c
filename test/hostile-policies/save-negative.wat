;; save abi: save() returns a negative length.
(module
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32) (i32.const 0))
  (func (export "save") (result i32) (i32.const -1)))
