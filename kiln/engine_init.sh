# The first process of the private engine: makes its mounts, then waits for dockerd.
# It runs in mount and process namespaces of its own, so that its end ends all of the engine.
# Set by Kiln: ROOT, RUN and DATA (folders), and the proxies of the user.
set -eu
trap 'exit 1' TERM

# /proc is the host's still: the process ids in it are the host's.
read -r boot < /proc/sys/kernel/random/boot_id
read -r stat < /proc/self/stat
printf '%s %s\n' "$boot" "$stat" > "$RUN/.init.part"
mv "$RUN/.init.part" "$RUN/init"

mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /sys "$ROOT/sys"
mount --rbind /dev "$ROOT/dev"
mount --bind "$RUN" "$ROOT/run"
mount -t tmpfs tmpfs "$ROOT/tmp"
mkdir -p "$ROOT/var/lib/docker"
mount --bind "$DATA" "$ROOT/var/lib/docker"
cd "$ROOT"
# Both roots at one place, then the upper one, the host's, is let go.
pivot_root . .
umount -l .
cd /

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
dockerd --config-file /run/daemon.json &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || :' TERM
# A signal ends the wait early; and waiting reaps what containers leave behind.
while kill -0 "$child" 2>/dev/null; do
    wait "$child" || :
done
