# SPDX-License-Identifier: MPL-2.0
# Completion of zbroker(8) for bash.

_zbroker() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    case $previous in
    -c|--config) COMPREPLY=($(compgen -f -- "$current")) ;;
    -l|--log-level) COMPREPLY=($(compgen -W 'error warning notice info debug trace' -- "$current")) ;;
    -u|--user) COMPREPLY=($(compgen -u -- "$current")) ;;
    -o) COMPREPLY=() ;;
    *) COMPREPLY=($(compgen -W '-c --config -t --test -T --dump -u --user -l --log-level -o -V --version -h --help' -- "$current")) ;;
    esac
}
complete -o filenames -F _zbroker zbroker
