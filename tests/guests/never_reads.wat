;; Returns without reading.
(module (; prelude ;) (func (export "pg_activate")))
