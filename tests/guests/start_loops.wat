;; Its start function never returns.
(module (; prelude ;)
  (func $start (loop $ever (br $ever)))
  (start $start)
  (func (export "pg_activate")))
