;; decide trap: gives up as AssemblyScript does, with a message and a place.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32) (call $abort (i32.const 36) (i32.const 0) (i32.const 12) (i32.const 5)) (i32.const 0))
  (data (i32.const 32) "\08\00\00\00b\00a\00d\00\0a\00"))
