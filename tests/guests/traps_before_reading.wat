;; Traps before it reads anything.
(module (; prelude ;) (func (export "pg_activate") (unreachable)))
