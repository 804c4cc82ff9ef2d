#compdef pgrid
# Completion of pgrid for zsh. For this shell: source <(pgrid completion zsh)
# For every one: pgrid completion zsh > a folder of $fpath/_pgrid
# pgrid itself says what can stand at the cursor, so this never lags behind it.
_pgrid() {
  local line files= result=1
  local -a found
  for line in "${(@f)$(${~words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      files=1
    elif [[ -n $line ]]; then
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done
  (( $#found )) && _describe pgrid found && result=0
  [[ -n $files ]] && _files && result=0
  return result
}
if [[ $funcstack[1] == _pgrid ]]; then
  _pgrid "$@"
else
  compdef _pgrid pgrid
fi
