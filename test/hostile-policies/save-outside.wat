;; save abi: the state it saves lies outside of memory.
(module
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (select (i32.const 65536) (i32.const 8192) (i32.eq (local.get $kind) (i32.const 3))))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32) (i32.const 0))
  (func (export "save") (result i32) (i32.const 8)))
