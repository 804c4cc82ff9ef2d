;; Faults in the way that the first byte of a message says, through each signal that the engine handles: 't' an illegal
;; instruction, 'o' an address out of bounds, 'd' a division by zero, 'r' a stack without end; 'l' loops; 'g' takes one
;; more page of memory, writes to it and answers, or declines by a trap when there is none. Anything else is echoed.
(module (; prelude ;)
  (func $is (param $letter i32) (result i32) (i32.eq (call $first_body_byte) (local.get $letter)))
  (func $recurse (param $n i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get $n) (i32.const 1))) (local.get $n)))
  (func $grow (local $page i32)
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.lt_s (local.get $page) (i32.const 0)) (then (unreachable)))
    (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1)))
  (func (export "pg_activate")
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (if (call $is (i32.const 116)) (then (unreachable)))
      (if (call $is (i32.const 111)) (then (drop (i32.load (i32.const -65536)))))
      (if (call $is (i32.const 100)) (then (drop (i32.div_u (i32.const 1) (i32.load (i32.const 2048))))))
      (if (call $is (i32.const 114)) (then (drop (call $recurse (i32.const 0)))))
      (if (call $is (i32.const 108)) (then (loop $ever (br $ever))))
      (if (call $is (i32.const 103)) (then (call $grow)))
      (drop (call $echo))
      (br $more)))))
