;; Never gets ready.
(module (; prelude ;)
  (func (export "pg_init") (loop $ever (br $ever)))
  (func (export "pg_activate")))
