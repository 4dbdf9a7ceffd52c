#!/bin/sh
# Plants each trap at each path that a start touches in a root file system, starts it, kills it, and looks at what
# was not to be touched. Runs on the host, as root. Prints a line per violation, and at its end how many cases ran.
# Arguments: the paths; all if there are none.
root=/var/lib/containerctl/t/rootfs
pristine=/var/lib/pristine
# On the tree's own file system, for a hard link to be possible.
marker=/var/lib/marker
log=/run/traps.log
id=0123456789abcdef0123456789abcdef

paths='proc sys dev run tmp etc sbin srv usr var
    dev/pts dev/shm dev/mqueue dev/console dev/null dev/ptmx dev/fd
    etc/machine-id etc/hostname etc/os-release usr/lib/os-release sbin/init
    var/log var/log/journal sys/fs/cgroup proc/sys run/host srv/x srv/y'
traps='absolute-dir absolute-file relative-dir relative-file dangling loop fifo socket device file dir hardlink
    proc-root proc-fd inner'

# All that must stay as it is: names, kinds, owners, modes, sizes, times and content of the markers; the host's mounts.
untouched() {
    find $marker /opt/shared /opt/shared-file -printf '%p %y %i %U:%G %m %s %T@\n' | sort
    cat $marker/file $marker/dir/file
    ls -A /opt /var/lib
    awk '{ print $5 }' /proc/self/mountinfo | grep -v -e containerctl -e /run/credentials | sort
}

plant() {
    at=$root/$2
    rm -rf "$at"
    mkdir -p "${at%/*}"
    case $1 in
        absolute-dir) ln -s $marker/dir "$at" ;;
        absolute-file) ln -s $marker/file "$at" ;;
        relative-dir) ln -s ../../../../../../../../../..$marker/dir "$at" ;;
        relative-file) ln -s ../../../../../../../../../..$marker/file "$at" ;;
        dangling) ln -s $marker/new "$at" ;;
        loop) ln -s "${at##*/}" "$at" ;;
        fifo) mkfifo "$at" ;;
        socket) perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) || die $!' "$at" ;;
        device) mknod "$at" c 1 7 ;;
        file) echo wrong >"$at" ;;
        dir) mkdir "$at" ;;
        hardlink) ln $marker/file "$at" ;;
        proc-root) ln -s /proc/self/root$marker/dir "$at" ;;
        proc-fd) ln -s /proc/self/fd/0 "$at" ;;
        inner) ln -s /home "$at" ;;
    esac
}

cases=0 started=0
attempt() {
    rm -rf $root
    cp -a $pristine $root
    plant "$1" "$2" || echo "$2 as $1: not planted"
    cases=$((cases + 1))
    # As an earlier start may have left it.
    grep -q guest /etc/containerctl/t.conf && ln -s $root/var/log/journal/$id /var/log/journal/$id
    timeout 15 containerctl start t </dev/null >$log 2>&1
    code=$?
    case $code in
        0)
            started=$((started + 1))
            [ "$(systemctl is-active container@t)" = active ] || echo "$2 as $1: started, and is not active" ;;
        # What an error is called: not found, unsupported, failed, denied, wrong definition.
        1 | 66 | 69 | 71 | 74 | 77 | 78)
            grep -q "^containerctl: failed to start 'container@t.service': .*'/.*'" $log ||
                echo "$2 as $1: unnamed error: $(cat $log)"
            ;;
        124) echo "$2 as $1: hangs: $(cat $log)" ;;
        *) echo "$2 as $1: exit code $code: $(cat $log)" ;;
    esac
    [ -z "$VERBOSE" ] || echo "$2 as $1: $code $(tr '\n' ' ' <$log)"
    # The journal that journalctl -M would read: the container's directory beside its tree, what an earlier version left
    # in the tree, or nowhere.
    for link in /var/log/journal/*; do
        [ ! -L "$link" ] || case $(realpath -m "$link") in
            "${root%/rootfs}/journal" | $root/*) ;;
            *) echo "$2 as $1: $link leads to $(realpath -m "$link")" ;;
        esac
    done
    untouched >/run/untouched.now
    cmp -s /run/untouched.before /run/untouched.now ||
        echo "$2 as $1: touched: $(diff /run/untouched.before /run/untouched.now)"
    systemctl kill -s KILL machine-t.scope 2>/dev/null
    timeout 15 systemctl stop container@t || echo "$2 as $1: does not stop"
    systemctl reset-failed container@t 2>/dev/null
    [ ! -e /run/containerctl/t ] || echo "$2 as $1: /run/containerctl/t is left"
    # So that the next case makes it anew.
    find /var/log/journal -maxdepth 1 -type l -delete
}

mkdir -p $marker/dir /opt/shared /var/log/journal
echo secret >$marker/file
echo secret >$marker/dir/file
echo shared >/opt/shared/file
echo shared >/opt/shared-file
chmod 600 $marker/file $marker/dir/file
chmod 700 $marker $marker/dir
[ -d $pristine ] || cp -a $root $pristine
mkdir -p $pristine/home $pristine/usr/lib $pristine/var/log
echo $id >$pristine/etc/machine-id
cp $pristine/etc/os-release $pristine/usr/lib/os-release
definition() {
    printf '[Exec]\nLinkJournal=%s\n[Files]\nBind=/opt/shared:/srv/x\nBind=/opt/shared-file:/srv/y\n' "$1" \
        >/etc/containerctl/t.conf
    systemctl daemon-reload
}
untouched >/run/untouched.before

# shellcheck disable=SC2086 # one path a word
[ $# -gt 0 ] || set -- $paths
definition guest
for path; do
    for trap in $traps; do
        attempt "$trap" "$path"
    done
done
# The other way to a common journal: a directory of the host's, mounted.
definition host
for path in var var/log var/log/journal var/log/journal/$id; do
    for trap in $traps; do
        attempt "$trap" "$path"
    done
done
echo "$cases cases, $started started"
