#!/bin/bash
# Starts container w again and again while somebody exchanges a directory of its volume with a link to the marker, as
# fast as the kernel can. Runs on the host, as root, which is who the root of a container is in an idmapped volume.
# Prints a line per violation, and at its end what came of it: host_paths.sh VOLUME MARKER ROUNDS
set -u
volume=$1 marker=$2 rounds=$3
log=/run/race.log

# RENAME_EXCHANGE is 2; renameat2 is 316 on x86_64, 276 elsewhere.
# shellcheck disable=SC2016 # perl's variables
storm='
    my ($place, $trap) = @ARGV;
    my $renameat2 = `uname -m` =~ /^x86_64/ ? 316 : 276;
    my $count = 0;
    $SIG{TERM} = sub { print "$count\n"; exit 0 };
    $| = 1;
    print "on\n";
    while (1) { syscall($renameat2, -100, $place, -100, $trap, 2) == 0 or die "$place: $!\n"; $count++ }'

ln -s "$marker" "$volume/trap"
: >/run/storm
perl -e "$storm" "$volume/data" "$volume/trap" >/run/storm 2>&1 &
attacker=$!
until [ -s /run/storm ]; do sleep 0.01; done

started=0 refused=0
for ((round = 0; round < rounds; round++)); do
    timeout 20 containerctl start w </dev/null >$log 2>&1
    code=$?
    case $code in
        0) started=$((started + 1)) ;;
        78) refused=$((refused + 1)) ;;
        *) echo "round $round: exit code $code: $(cat $log)" ;;
    esac
    timeout 15 systemctl stop container@w || echo "round $round: does not stop"
    systemctl reset-failed container@w 2>/dev/null
done
kill -TERM $attacker
wait $attacker
journalctl -q CONTAINER_NAME=w -o cat | grep -F escaped
echo "$rounds rounds, $started started, $refused refused, $(tail -n 1 /run/storm) exchanges"
