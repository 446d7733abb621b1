# The first process of the private engine: makes its mounts, then waits for dockerd.
# It runs in mount and process namespaces of its own, so that its end ends all of the engine.
# Set by Kiln: ROOT and RUN (folders), and the network settings of the user. Its one argument is the
# engine's name, by which it is found if its folder is gone.
set -eu
trap 'exit 1' TERM

# /proc is the host's still: the process ids in it are the host's.
read -r boot < /proc/sys/kernel/random/boot_id
read -r stat < /proc/self/stat
printf '%s %s\n' "$boot" "$stat" > "$RUN/.init.part"
mv "$RUN/.init.part" "$RUN/init"

# The host's folders stay in sight, at their places, for containers that mount some of them. Its
# programs and run-time files give way: to Debian's Docker, and to a run folder of the engine's own.
mount -t proc proc /proc
resolver=$(readlink -f /etc/resolv.conf || :)
case $resolver in
    /run/*) mkdir -p "$RUN/${resolver#/run/}" && rmdir "$RUN/${resolver#/run/}"
            cp "$ROOT/etc/resolv.conf" "$RUN/${resolver#/run/}" ;;
    /*) mount --bind "$ROOT/etc/resolv.conf" "$resolver" ;;
esac
# containerd makes a folder in /opt.
cd "$RUN"
mkdir opt work
mount -t overlay -o lowerdir=/opt,upperdir=opt,workdir=work overlay /opt
cd /
mount --bind "$RUN" /run
mount --bind "$ROOT/etc/alternatives" /etc/alternatives
mount --bind "$ROOT/usr" /usr

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
dockerd --config-file /run/daemon.json &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || :' TERM
# A signal ends the wait early; and waiting reaps what containers leave behind.
while kill -0 "$child" 2>/dev/null; do
    wait "$child" || :
done
