;; 'w' fills memory (the second page, a global and grown pages) with a mark and traps; anything else answers with one byte:
;; how many kinds of memory still show a mark.
(module (; prelude ;)
  (global $mark (mut i32) (i32.const 0))
  (func (export "pg_activate") (local $found i32) (local $at i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (if (i32.eq (call $first_body_byte) (i32.const 119)) (then
        (drop (memory.grow (i32.const 1)))
        (memory.fill (i32.const 4096) (i32.const 0xa5) (i32.const 192000))
        (global.set $mark (i32.const 1))
        (unreachable)))
      (local.set $found (global.get $mark))
      (if (i32.ne (memory.size) (i32.const 2)) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
      (drop (memory.grow (i32.const 1)))
      (local.set $at (i32.const 4096))
      (block $clean (loop $scan
        (br_if $clean (i32.ge_u (local.get $at) (i32.const 196600)))
        (if (i32.load (local.get $at)) (then (local.set $found (i32.add (local.get $found) (i32.const 1))) (br $clean)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $scan)))
      (i32.store8 (i32.const 64) (local.get $found))
      (drop (call $answer_to (call $reply_handle) (i32.const 1)))
      (br $more)))))
