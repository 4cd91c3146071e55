# SPDX-License-Identifier: MPL-2.0
# Completion of zbroker-keygen(1) for bash.

_zbroker_keygen() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    case ${COMP_WORDS[1]},$previous in
    cert,-d|cert,--directory) COMPREPLY=($(compgen -d -- "$current")) ;;
    cert,-m|cert,--metadata) ;;
    cert,*) [[ $current == -* ]] && COMPREPLY=($(compgen -W '-d --directory -m --metadata' -- "$current")) ;;
    password,*) ;;
    --check,*) COMPREPLY=($(compgen -f -- "$current")) ;;
    *) COMPREPLY=($(compgen -W 'cert password --check -V --version -h --help' -- "$current")) ;;
    esac
}
complete -o filenames -F _zbroker_keygen zbroker-keygen
