# SPDX-License-Identifier: MPL-2.0
# Completion of zbrokerctl(8) for bash. Commands and routes are asked of the
# daemon, so that nothing here has to follow it.

_zbrokerctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local options=() words=() i word
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -s|--socket|-c|--config)
            options+=("$word" "${COMP_WORDS[i+1]}")
            i=$((i + 1)) ;;
        -w|--watch) i=$((i + 1)) ;;
        -*) ;;
        *) words+=("$word") ;;
        esac
    done

    case $previous in
    -s|--socket|-c|--config)
        COMPREPLY=($(compgen -f -- "$current"))
        return ;;
    -w|--watch) return ;;
    esac
    if [[ $current == -* && ${#words[@]} -eq 0 ]]; then
        COMPREPLY=($(compgen -W '-s --socket -c --config -j --json -w --watch -V --version -h --help' -- "$current"))
        return
    fi

    # A line of help: the command, one or two words, its arguments, two blanks, what it does.
    local usage typed="${words[*]}" offer=()
    [[ ${#words[@]} -eq 0 ]] && offer=(top check-reload)
    while IFS= read -r usage; do
        usage=${usage%%  *}
        local parts=($usage)
        if [[ ${#words[@]} -eq 0 ]]; then
            offer+=("${parts[0]}")
        elif [[ ${#words[@]} -eq 1 && ${parts[1]} =~ ^[a-z] && ${parts[0]} == "${words[0]}" ]]; then
            offer+=("${parts[1]}")
        else
            local name=${parts[0]} rest=("${parts[@]:1}")
            [[ ${parts[1]} =~ ^[a-z] ]] && name="${parts[0]} ${parts[1]}" rest=("${parts[@]:2}")
            [[ "$typed " == "$name "* ]] || continue
            local given=(${typed#"$name"})
            case ${rest[0]} in
            ROUTE|\[ROUTE\])
                if [[ ${#given[@]} -eq 0 ]]; then
                    offer+=($(zbrokerctl "${options[@]}" show routes 2>/dev/null | awk 'NR > 1 { print $1 }'))
                elif [[ ${rest[1]} == \[* ]]; then
                    # [topic PREFIX] [format line|hex|json]: the words, or what stands behind them.
                    local option inside
                    for ((i = 1; i < ${#rest[@]}; i += 2)); do
                        option=${rest[i]#\[} inside=${rest[i+1]%\]}
                        if [[ $previous == "$option" ]]; then
                            offer=()
                            [[ $inside == *\|* ]] && offer=(${inside//|/ })
                            break
                        fi
                        offer+=("$option")
                    done
                fi ;;
            \[FILE\]) [[ ${#given[@]} -eq 0 ]] && offer+=($(compgen -f -- "$current")) ;;
            LEVEL) [[ ${#given[@]} -eq 0 ]] && offer+=(error warning notice info debug trace) ;;
            esac
        fi
    done < <(zbrokerctl "${options[@]}" help 2>/dev/null)
    COMPREPLY=($(compgen -W "${offer[*]}" -- "$current"))
}
complete -F _zbrokerctl zbrokerctl
