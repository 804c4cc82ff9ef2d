# Completion of pgrid for bash. For this shell: source <(pgrid completion bash)
# For every one: pgrid completion bash > ~/.local/share/bash-completion/completions/pgrid
# pgrid itself says what can stand at the cursor, so this never lags behind it.
_pgrid() {
  local word
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    if [ "$word" = :files ]; then
      compopt -o default 2>/dev/null  # bash's own file names where nothing else fits
    else
      COMPREPLY+=("$word")
    fi
  done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _pgrid pgrid
