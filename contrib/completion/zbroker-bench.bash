# SPDX-License-Identifier: MPL-2.0
# Completion of zbroker-bench(1) for bash.

_zbroker_bench() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local patterns='pubsub pushpull reqrep dealer pair replay'
    local alone='-c --config -j --json -n --consumers -m --messages -o --outstanding -p --producers -r --rounds -s --size
        -w --workers -d --duration --to --from --through --against --zbroker --set --transport --parts --topics --topic
        --rate --warmup --wait --settle --work --timeout --retries --service --sndhwm --rcvhwm --broker-hwm --io-threads
        --pid --serve --plot --name'
    local flags='--ack --no-ids --direct --empty --split-topics --verify --nodrop --curve --each -q --quiet -V --version -h --help'
    COMPREPLY=()
    if [[ ${COMP_WORDS[1]} == replay && $COMP_CWORD -gt 1 ]]; then
        alone='--to --as --speed --side --strip --wait'
        flags='--loop -q --quiet -h --help'
        patterns=$(compgen -f -- "$current")
    fi
    case $previous in
    -c|--config|--zbroker|-j|--json|--plot) COMPREPLY=($(compgen -f -- "$current")) ;;
    --against) COMPREPLY=($(compgen -W 'zmq_proxy zproxy' -- "$current")) ;;
    --transport) COMPREPLY=($(compgen -W 'tcp ipc' -- "$current")) ;;
    --service) COMPREPLY=($(compgen -W 'rep router dealer' -- "$current")) ;;
    --as) COMPREPLY=($(compgen -W 'dealer pair pub push req' -- "$current")) ;;
    --side) COMPREPLY=($(compgen -W 'frontend backend' -- "$current")) ;;
    --speed) COMPREPLY=($(compgen -W 'max' -- "$current")) ;;
    --serve) COMPREPLY=($(compgen -W 'rep router dealer proxy zproxy' -- "$current")) ;;
    *)
        if [[ $current != -* ]]; then
            [[ " "${alone//$'\n'/ }" " == *" $previous "* ]] || COMPREPLY=($(compgen -W "$patterns" -- "$current"))
        else
            COMPREPLY=($(compgen -W "$alone $flags" -- "$current"))
        fi ;;
    esac
}
complete -o filenames -F _zbroker_bench zbroker-bench
