;; The body is a number: so many microseconds of CPU time pass (the test's clock), then the message is echoed.
(module
  (import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
  (import "promisegrid" "send" (func $send (param i32 i32) (result i32)))
  (import "test" "burn" (func $burn (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "pg_activate") (local $length i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (local.tee $length (call $receive (i32.const 0) (i32.const 1088))) (i32.const 0)))
      (drop (call $burn (i32.load (i32.const 64)) (i32.const 0)))
      (i32.store8 (i32.const 1) (i32.const 1))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (i32.store (i32.const 8) (i32.const 0))
      (i64.store (i32.const 24) (i64.const 0))
      (drop (call $send (i32.const 0) (local.get $length)))
      (br $more)))))
