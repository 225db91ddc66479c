;; served: a line of control characters that would clear a terminal, one that is not UTF-8, one that is too long, and 20 more.
(module
  (import "shunt" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (i32.mul (i32.add (local.get $kind) (i32.const 1)) (i32.const 8192)))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32)
    (local $line i32)
    (call $log (i32.const 1) (i32.const 32) (i32.const 15))
    (call $log (i32.const 0xffffffff) (i32.const 48) (i32.const 3))
    (call $log (i32.const 1) (i32.const 0) (i32.const 65536))
    (loop $again
      (call $log (i32.const 1) (i32.const 0) (i32.const 0))
      (br_if $again (i32.lt_u (local.tee $line (i32.add (local.get $line) (i32.const 1))) (i32.const 20))))
    (i32.const 0))
  (data (i32.const 32) "\1b[2J\nlog: ok\e2\80\ae")
  (data (i32.const 48) "\ff\fe\fd"))
