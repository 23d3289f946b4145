# What a supervisor hears (sd_notify's datagrams): READY, WATCHDOG, STOPPING.
if command -v python3 >/dev/null; then
    cat >"$folder/listen.py" <<'EOF'
import socket, sys
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.bind(sys.argv[1])
channel.settimeout(60)
print("open", flush=True)
said = ""
while said != "STOPPING=1":
    said = channel.recv(4096).decode()
    print(said, flush=True)
EOF
    python3 "$folder/listen.py" "$folder/notify" >"$folder/heard" 2>&1 & listener=$!
    for _ in $(seq 100); do grep -qs open "$folder/heard" && break; sleep 0.05; done
    export NOTIFY_SOCKET=$folder/notify WATCHDOG_USEC=400000
    data=$folder/notified
    start --workers 1
    sleep 1
    stop
    unset NOTIFY_SOCKET WATCHDOG_USEC
    data=
    wait $listener
    equal "supervisor: first" "$(sed -n 2p "$folder/heard")" "READY=1"
    check "supervisor: watchdog" test "$(grep -c '^WATCHDOG=1$' "$folder/heard")" -ge 3
    equal "supervisor: last" "$(tail -1 "$folder/heard")" "STOPPING=1"
else
    echo "python3 is missing: what a supervisor hears was not tested"
fi
