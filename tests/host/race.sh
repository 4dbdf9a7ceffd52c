#!/bin/bash
# Starts a container again and again while somebody exchanges one of the places that a start touches with a link to
# the host, as fast as the kernel can. Runs on the host, as root. Prints a line per violation, and at its end what
# came of it: race.sh ROUNDS
set -u
root=/var/lib/containerctl/r/rootfs
marker=/var/lib/marker
log=/run/race.log
rounds=$1

# Directories, and one file, that a start resolves, makes or mounts on, with those above them.
dirs=(proc sys dev run etc srv srv/x var var/log var/log/journal usr sbin)
files=(srv/y etc/machine-id sbin/init)

untouched() {
    find $marker /opt/shared -printf '%p %y %i %U:%G %m %s %T@\n' | sort
    cat $marker/file $marker/dir/file
    ls -A /opt /var/lib
    awk '{ print $5 }' /proc/self/mountinfo | grep -v -e containerctl -e /run/credentials | sort
}

# RENAME_EXCHANGE is 2; renameat2 is 316 on x86_64, 276 elsewhere.
# shellcheck disable=SC2016 # perl's variables
exchange='
    my ($place, $trap) = @ARGV;
    my $renameat2 = `uname -m` =~ /^x86_64/ ? 316 : 276;
    sub exchange { syscall($renameat2, -100, $place, -100, $trap, 2) == 0 or die "$place: $!\n" }
    exchange();'

# As the container's root would, without end; how often is told at the end.
storm() {
    # shellcheck disable=SC2016 # perl's variables
    exec setpriv --reuid "$owner" --regid "$owner" --clear-groups -- perl -e "$exchange"'
        my $count = 1;
        $SIG{TERM} = sub { print "$count\n"; exit 0 };
        $| = 1;
        print "on\n";
        while (1) { exchange(); $count++ }' "$1" "$2"
}

mounted() {
    awk '{ print $5 }' "/proc/$1/mountinfo" | sort
}

mkdir -p $marker/dir /opt/shared
echo secret >$marker/file
echo secret >$marker/dir/file
echo shared >/opt/shared/file
chmod 600 $marker/file $marker/dir/file
chmod 700 $marker $marker/dir
mkdir -p $root/srv/x $root/var/log/journal $root/etc $root/sbin
: >$root/srv/y
echo 0123456789abcdef0123456789abcdef >$root/etc/machine-id
# The attacker owns the tree, and with the ids of the host reaches it, too.
mkdir -m 700 /srv/race && mv $root /srv/race/rootfs && root=/srv/race/rootfs
printf '[Exec]\nLinkJournal=try-guest\nPrivateUsers=identity\n[Files]\nRootDirectory=%s\nBind=/opt/shared:/srv/x\nBind=/opt/shared/file:/srv/y\n' \
    $root >/etc/containerctl/r.conf
systemctl daemon-reload
owner=$(stat -c %u /srv/race)

containerctl start r || exit 1
mounted "$(machinectl show -p Leader --value r)" >/run/mounted.right
systemctl kill -s KILL machine-r.scope
systemctl stop container@r
systemctl reset-failed container@r
untouched >/run/untouched.before

started=0 refused=0 again=0 exchanged=0
places=("${dirs[@]}" "${files[@]}")
for ((round = 0; round < rounds; round++)); do
    place=${places[round % ${#places[@]}]}
    trap=/srv/race/trap
    rm -rf $trap
    case " ${files[*]} " in
        *" $place "*) ln -s $marker/file $trap ;;
        *) ln -s $marker/dir $trap ;;
    esac
    : >/run/storm
    storm "$root/$place" "$trap" >/run/storm 2>&1 &
    attacker=$!
    until [ -s /run/storm ]; do sleep 0.01; done
    timeout 20 containerctl start r </dev/null >$log 2>&1
    code=$?
    kill -TERM $attacker
    wait $attacker
    grep -qE '^[0-9]+$' /run/storm || echo "$place: the storm ended: $(cat /run/storm)"
    exchanged=$((exchanged + $(grep -E '^[0-9]+$' /run/storm || echo 0)))
    case $code in
        0) started=$((started + 1)) ;;
        1 | 66 | 69 | 71 | 74 | 77 | 78)
            refused=$((refused + 1))
            if grep -q 'temporarily unavailable' $log; then again=$((again + 1)); fi
            grep -q "^containerctl: failed to start 'container@r.service': .*'/.*'" $log ||
                echo "$place: unnamed error: $(cat $log)"
            ;;
        *) echo "$place: exit code $code: $(cat $log)" ;;
    esac
    # A mount goes where its directory is moved, so that is where it belongs before it is looked for.
    # The init is a link itself, and none of ours.
    case $(readlink "$root/$place") in "$marker"/*) perl -e "$exchange" "$root/$place" $trap ;; esac
    if [ $code = 0 ]; then
        mounted "$(machinectl show -p Leader --value r)" >/run/mounted.now
        cmp -s /run/mounted.right /run/mounted.now ||
            echo "$place: mounted elsewhere: $(diff /run/mounted.right /run/mounted.now)"
    fi
    untouched >/run/untouched.now
    cmp -s /run/untouched.before /run/untouched.now ||
        echo "$place: touched: $(diff /run/untouched.before /run/untouched.now)"
    systemctl kill -s KILL machine-r.scope 2>/dev/null
    timeout 15 systemctl stop container@r || echo "$place: does not stop"
    systemctl reset-failed container@r 2>/dev/null
    find /var/log/journal -maxdepth 1 -type l -delete
done
echo "$rounds rounds, $started started, $refused refused, $again gave up, $exchanged exchanges"
