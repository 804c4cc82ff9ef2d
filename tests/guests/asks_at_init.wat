;; Sends a request to its first granted handle in pg_init; reads whatever comes.
(module (; prelude ;)
  (data (i32.const 2048) "\01\00\00\00\04\00\00\00\00\00\00\00\05\00\00\00")
  (data (i32.const 2112) "early")
  (func (export "pg_init") (drop (call $send (i32.const 2048) (i32.const 69))))
  (func (export "pg_activate") (loop $more (br_if $more (i32.gt_s (call $next) (i32.const 0))))))
