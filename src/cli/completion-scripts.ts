/** The scripts of the shells: they hand over the words as they stand, and show what comes back. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

const BASH = `# maoctl for bash; made by "maoctl completion bash"
_maoctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} line first=1 files=none
  # bash takes --option=value apart; the value is what is being completed.
  if [[ $current == '=' ]]; then current=; fi
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $first ]]; then first=; files=$line; continue; fi
    line=\${line%%$'\\t'*}
    if [[ $line == "$current"* ]]; then COMPREPLY+=("$line"); fi
  done < <(maoctl __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $files in
    files) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
    directories) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
  esac
  # A colon ends a word for bash, so what stands before it is there already.
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
}
complete -F _maoctl maoctl
`

const ZSH = `#compdef maoctl
# maoctl for zsh; made by "maoctl completion zsh"
_maoctl() {
  local -a answer names texts
  local line
  answer=("\${(@f)$(maoctl __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)answer[2,-1]}"; do
    [[ -n $line ]] || continue
    names+=("\${line%%$'\\t'*}")
    texts+=("\${line/$'\\t'/  -- }")
  done
  (( \${#names} )) && compadd -l -d texts -a names
  case \${answer[1]} in
    files) _files ;;
    directories) _files -/ ;;
  esac
}
if [[ \${funcstack[1]} == _maoctl ]]; then
  _maoctl "$@"
elif (( $+functions[compdef] )); then
  compdef _maoctl maoctl
fi
`

const FISH = `# maoctl for fish; made by "maoctl completion fish"
function __maoctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (maoctl __complete -- $before[2..-1] "$current" 2>/dev/null)
    for line in $answer[2..-1]
        echo -- $line
    end
    switch "$answer[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current"
    end
end
complete -c maoctl -f -a '(__maoctl_complete)'
`

export const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = { bash: BASH, zsh: ZSH, fish: FISH }
