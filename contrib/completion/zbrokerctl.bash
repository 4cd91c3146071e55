# SPDX-License-Identifier: MPL-2.0
# Completion of zbrokerctl(8) for bash. Commands come from its own help, routes
# and clients from the daemon, so that nothing here has to follow them.

# What the daemon knows now: the column of a table.
_zbrokerctl_column() {
    local column=$1
    shift
    zbrokerctl "${options[@]}" --timeout 1 --wide "$@" 2>/dev/null | awk -v column="$column" 'NR > 1 { print $column }'
}

# [topic PREFIX] [format line|hex|json] in $arguments: the words, or what stands behind them.
_zbrokerctl_optional() {
    local i option inside
    for ((i = 1; i < ${#arguments[@]}; i += 2)); do
        [[ ${arguments[i]} == \[[a-z]* ]] || { i=$((i - 1)); continue; }
        option=${arguments[i]#\[} inside=${arguments[i+1]%\]}
        if [[ $previous == "$option" ]]; then
            offer=()
            [[ $inside == *\|* ]] && offer=(${inside//|/ })
            return
        fi
        offer+=("$option")
    done
}

# The next one of $arguments, behind those that are $given.
_zbrokerctl_argument() {
    local next=${arguments[${#given[@]}]}
    case $next in
    ROUTE|\[ROUTE\]) offer+=($(_zbrokerctl_column 1 show routes)) ;;
    CLIENT) offer+=($(_zbrokerctl_column 1 show clients "${given[0]}")) ;;
    LEVEL) offer+=(error warning notice info debug trace) ;;
    FILE|\[FILE\]) offer+=($(compgen -f -- "$current")) ;;
    *) [[ ${#given[@]} -gt 0 ]] && _zbrokerctl_optional ;;
    esac
}

_zbrokerctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local options=() words=() offer=() i word
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -s|--socket|-c|--config)
            options+=("$word" "${COMP_WORDS[i+1]}")
            i=$((i + 1)) ;;
        -w|--watch|-t|--timeout) i=$((i + 1)) ;;
        -*) ;;
        *) words+=("$word") ;;
        esac
    done

    case $previous in
    -s|--socket|-c|--config)
        COMPREPLY=($(compgen -f -- "$current"))
        return ;;
    -w|--watch|-t|--timeout) return ;;
    esac
    if [[ $current == -* ]]; then
        offer=(--json --wide --slow --changed)
        [[ ${#words[@]} -eq 0 ]] && offer+=(-s --socket -c --config -j -w --watch -t --timeout -V --version -h --help)
        COMPREPLY=($(compgen -W "${offer[*]}" -- "$current"))
        return
    fi

    # A line of help: the command, one or two words, its arguments, two blanks, what it does.
    local help usage parts name arguments given typed
    help=$(zbrokerctl help 2>/dev/null)
    # `show' may be left out.
    if [[ ${#words[@]} -gt 0 && $'\n'$help != *$'\n'"${words[0]} "* && $'\n'$help == *$'\n'"show ${words[0]} "* ]]; then
        words=(show "${words[@]}")
    fi
    typed="${words[*]}"
    while IFS= read -r usage; do
        usage=${usage%%  *}
        [[ -n $usage ]] || continue
        parts=($usage)
        if [[ ${#words[@]} -eq 0 ]]; then
            offer+=("${parts[0]}")
        elif [[ ${#words[@]} -eq 1 && ${parts[1]} =~ ^[a-z] && ${parts[0]} == "${words[0]}" ]]; then
            offer+=("${parts[1]}")
        else
            name=${parts[0]} arguments=("${parts[@]:1}")
            [[ ${parts[1]} =~ ^[a-z] ]] && name="${parts[0]} ${parts[1]}" arguments=("${parts[@]:2}")
            [[ -n $name && "$typed " == "$name "* ]] || continue
            given=(${typed#"$name"})
            _zbrokerctl_argument
        fi
    done <<<"$help"
    COMPREPLY=($(compgen -W "${offer[*]}" -- "$current"))
}
complete -F _zbrokerctl zbrokerctl
