;; decide abi: region() tells something else every time, and leaves memory in the end.
(module
  (global $next (mut i32) (i32.const 8192))
  (memory (export "memory") 1)
  (func (export "shunt_policy_abi_1") (result i32) (i32.const 0))
  (func (export "region") (param $kind i32) (param $size i32) (result i32)
    (global.set $next (i32.add (global.get $next) (i32.const 16384)))
    (global.get $next))
  (func (export "init") (param $length i32) (result i32) (i32.const 0))
  (func (export "decide") (result i32) (i32.const 0)))
