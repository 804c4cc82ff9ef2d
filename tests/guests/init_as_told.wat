;; What the test says when it is built decides: 0 goes on, 1 traps, 2 loops, 3 traps in the start function. A message that
;; begins with 't' makes it trap; others are echoed.
(module
  (import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
  (import "promisegrid" "send" (func $send (param i32 i32) (result i32)))
  (import "test" "say" (func $say (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $start (if (i32.eq (call $say (i32.const 0) (i32.const 0)) (i32.const 3)) (then (unreachable))))
  (start $start)
  (func (export "pg_init") (local $what i32)
    (local.set $what (call $say (i32.const 0) (i32.const 0)))
    (if (i32.eq (local.get $what) (i32.const 1)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 2)) (then (loop $ever (br $ever)))))
  (func (export "pg_activate") (local $length i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (local.tee $length (call $receive (i32.const 0) (i32.const 1088))) (i32.const 0)))
      (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 116)) (then (unreachable)))
      (i32.store8 (i32.const 1) (i32.const 1))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (i32.store (i32.const 8) (i32.const 0))
      (i64.store (i32.const 24) (i64.const 0))
      (drop (call $send (i32.const 0) (local.get $length)))
      (br $more)))))
