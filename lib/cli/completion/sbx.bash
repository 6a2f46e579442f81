# bash completion of sbx. It knows no command: it asks the sbx that is typed, so it is right for whichever
# is installed. Names of files among the answers are quoted by bash, which takes all for file names then.

_sbx() {
  local IFS=$' \t\n' rest=${COMP_LINE:0:COMP_POINT} word index cut=
  local -a words=() lines=()
  # Bash cuts words at = and : as well; what has no blank before it belongs to the word before.
  for ((index = 0; index <= COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    [[ $rest == [[:blank:]]* ]] && words+=("") || ((index > 0)) || words+=("")
    rest=${rest#"${rest%%[![:blank:]]*}"}
    ((index < COMP_CWORD)) || word=$rest
    words[${#words[@]} - 1]+=$word
    rest=${rest#"$word"}
  done
  local current=${words[${#words[@]} - 1]}
  [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && cut=${current%"${current##*:}"}
  [[ $COMP_WORDBREAKS == *=* && $current == *=* ]] && cut=${current%"${current##*=}"}
  mapfile -t lines < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  for word in "${lines[@]}"; do
    case $word in
      :files)
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${current#"$cut"}")
        ;;
      :directories)
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "${current#"$cut"}")
        ;;
      :commands)
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$current")
        ;;
      :*) ;;
      *)
        word=${word%%$'\t'*}
        COMPREPLY+=("${word#"$cut"}")
        ;;
    esac
  done
}
complete -F _sbx sbx
