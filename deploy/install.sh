#!/bin/sh
# Installs Shouwang on Debian 12 or Raspberry Pi OS 12: the gateway of a home, or the bureau's collector.
#
# Safe to repeat, and to be cut off: a version is made in a folder of its own and becomes the current one in a single
# step, with a configuration that `check` accepts. A configuration that is there is never changed.
set -eu

source_root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
what=gateway
root=''
do_what=install
dry_run=no
start=yes
kept_versions=2

usage() {
    cat <<'TEXT'
Usage: deploy/install.sh [OPTIONS]

  --gateway      install the gateway and the console of a home (the default)
  --collector    install the bureau's collector
  --dry-run      say every step, and do none
  --no-start     install, but start and enable nothing
  --uninstall    take programs and services away; configuration and records stay, and it says where
  --root DIR     install into DIR instead of / : no packages, users or services (for images and tests)

Environment:
  PYTHON=python3.12   make the environment with this Python (3.11 or newer)
TEXT
}

say() { printf '%s\n' "shouwang: $*"; }

stop_with() { # LINE...
    for line in "$@"; do say "$line" >&2; done
    exit 1
}

# Carries out a step, or says it where --dry-run was given.
step() { # COMMAND [ARGUMENT...]
    if [ "$dry_run" = yes ]; then
        printf '  would: %s\n' "$*"
    else
        "$@"
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --gateway) what=gateway ;;
    --collector) what=collector ;;
    --dry-run) dry_run=yes ;;
    --no-start) start=no ;;
    --uninstall) do_what=uninstall ;;
    --root)
        [ $# -gt 1 ] || { usage >&2; exit 2; }
        root=${2%/}
        shift
        ;;
    -h | --help) usage; exit 0 ;;
    *)
        say "no such option: $1" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
done

opt=$root/opt/shouwang
etc=$root/etc/shouwang
units=$root/etc/systemd/system
if [ "$what" = gateway ]; then
    user=shouwang
    services='shouwang-edge.service shouwang-console.service'
    data=$root/var/lib/shouwang
    extras=pi,console
    # On a machine that is no Pi there is no wheel for its GPIO, and none is needed.
    case $(uname -m) in aarch64 | armv7l | armv6l) ;; *) extras=console ;; esac
else
    user=shouwang-collector
    services=shouwang-collector.service
    data=$root/var/lib/shouwang-collector
    extras=collector
fi

is_real() { [ -z "$root" ]; }
runs_systemd() { is_real && [ -d /run/systemd/system ]; }

check_machine() {
    if is_real && [ "$(id -u)" -ne 0 ] && [ "$dry_run" = no ]; then
        stop_with "this has to be run as root: sudo deploy/install.sh"
    fi
    if ! is_real && [ ! -d "$root" ]; then
        stop_with "$root: no such folder"
    fi
    [ -f "$source_root/constraints.txt" ] || stop_with "$source_root: not a copy of Shouwang"
}

# --- packages and Python ----------------------------------------------------------------------------------------------

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

install_packages() {
    is_real || return 0
    packages=''
    /usr/bin/python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages="$packages python3-venv"
    if [ "$what" = collector ] && ! command -v mosquitto >/dev/null 2>&1 && [ ! -x /usr/sbin/mosquitto ]; then
        packages="$packages mosquitto"
    fi
    [ -n "$packages" ] || return 0
    say "Debian packages:$packages"
    # shellcheck disable=SC2086  # one word per package
    step env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages </dev/null ||
        stop_with "they could not be installed; type: apt-get update, and then this again"
}

# The version of these very sources: an unchanged copy is not installed a second time.
version_of() {
    (cd "$source_root" && find edge device collector simulators demo pyproject.toml constraints.txt -type f \
        ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort | cksum | cut -d' ' -f1)
}

install_program() {
    version=$opt/versions/$(version_of)-$what
    if [ -e "$version/whole" ]; then
        say "this version is installed: $version"
    else
        say "installing the program into $version (some minutes on a Pi)"
        python=$(find_python) || stop_with "no Python 3.11 or newer; Debian 12 and newer have it: apt-get install python3"
        step rm -rf "$version"
        step mkdir -p "$opt/versions"
        step "$python" -m venv "$version"
        step "$version/bin/python" -m pip install --quiet --disable-pip-version-check \
            -c "$source_root/constraints.txt" "${source_root}[$extras]" ||
            stop_with "the Python packages could not be installed; what was installed before goes on running"
        step touch "$version/whole"
    fi
    new_version=$version
}

# The step that counts: before it all is as it was, after it all is new. A rename cannot be cut in half.
make_current() {
    [ "$(readlink "$opt/current" 2>/dev/null || true)" != "versions/${new_version##*/}" ] || return 0
    step ln -sfn "versions/${new_version##*/}" "$opt/current.new"
    step mv -Tf "$opt/current.new" "$opt/current"
    changed=yes
}

forget_old_versions() {
    [ -d "$opt/versions" ] || return 0
    # shellcheck disable=SC2012  # names are our own: digits and a word
    ls -1t "$opt/versions" | tail -n +$((kept_versions + 1)) | while IFS= read -r old; do
        [ "versions/$old" = "$(readlink "$opt/current")" ] || step rm -rf "$opt/versions/$old"
    done
}

# --- user, folders, files ---------------------------------------------------------------------------------------------

make_user() {
    is_real || return 0
    if ! getent passwd "$user" >/dev/null; then
        step useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin "$user"
    fi
    [ "$what" = gateway ] || return 0
    for group in gpio i2c dialout; do # the kernel's devices belong to these, on the systems that have them
        if getent group "$group" >/dev/null; then step usermod -a -G "$group" "$user"; fi
    done
}

own() { # FILE...
    if is_real; then step chown "root:$user" "$@"; fi
}

make_folders() {
    step mkdir -p "$opt" "$etc" "$data" "$units"
    step chmod 0750 "$etc" "$data"
    own "$etc"
    if is_real; then step chown "$user:$user" "$data"; fi
}

put() { # FROM TO MODE
    if cmp -s "$1" "$2"; then return 0; fi
    step mkdir -p "$(dirname -- "$2")"
    step cp "$1" "$2.new"
    step chmod "$3" "$2.new"
    step mv -f "$2.new" "$2"
    changed=yes
}

put_configuration() {
    if [ "$what" = gateway ]; then
        file=$etc/gateway.toml
        put "$source_root/deploy/example/gateway.toml" "$etc/gateway.example.toml" 0640
        own "$etc/gateway.example.toml"
    else
        file=$etc/collector.env
    fi
    if [ -e "$file" ]; then
        say "$file is kept as it is"
        return 0
    fi
    if [ "$what" = gateway ]; then
        step cp "$source_root/deploy/example/gateway.toml" "$file"
    else
        step cp "$source_root/deploy/example/collector.env" "$file"
    fi
    step chmod 0640 "$file"
    own "$file"
}

put_services() {
    for service in $services; do put "$source_root/deploy/systemd/$service" "$units/$service" 0644; done
    put "$source_root/deploy/systemd/journald.conf" "$root/etc/systemd/journald.conf.d/50-shouwang.conf" 0644
    [ "$what" = gateway ] || return 0
    put "$source_root/deploy/systemd/watchdog.conf" "$root/etc/systemd/system.conf.d/50-shouwang.conf" 0644
}

# --- starting -----------------------------------------------------------------------------------------------------------

start_services() {
    runs_systemd || return 0
    if [ "$changed" = yes ]; then
        step systemctl daemon-reload
        step systemctl restart systemd-journald.service
    fi
    [ "$start" = yes ] || return 0
    # shellcheck disable=SC2086  # one word per service
    step systemctl enable --quiet $services
    if [ "$what" = gateway ] && ! is_configured; then
        say "the gateway is not started yet: its configuration is still the example"
        return 0
    fi
    # What runs is not disturbed where nothing has changed: a restart is two seconds without ears.
    verb=start
    [ "$changed" = no ] || verb=restart
    # shellcheck disable=SC2086
    step systemctl $verb $services
}

is_configured() { ! cmp -s "$etc/gateway.toml" "$source_root/deploy/example/gateway.toml"; }

# A version that refuses the home's configuration must not become the one that runs.
check_configuration() {
    [ "$what" = gateway ] && [ "$dry_run" = no ] && is_configured || return 0
    "$new_version/bin/shouwang-edge" check --config "$etc/gateway.toml" && return 0
    stop_with "this version does not accept $etc/gateway.toml, so nothing of what runs was changed"
}

say_what_next() {
    if [ "$dry_run" = yes ]; then
        say "nothing was changed"
        return 0
    fi
    say "installed: $new_version"
    if [ "$what" = collector ]; then
        cat <<TEXT
Next:
  1. the first account:     sudo -u $user $opt/current/bin/shouwang-collector user add NAME --role bureau --data $data
  2. the broker:            $source_root/deploy/mosquitto/shouwang.conf says which configuration goes where
  3. where it listens:      $etc/collector.env, then: systemctl restart shouwang-collector
TEXT
        return 0
    fi
    cat <<TEXT
Next:
  1. say what hangs where:  $etc/gateway.toml
  2. have it checked:       $opt/current/bin/shouwang-edge check
  3. start it:              systemctl restart shouwang-edge shouwang-console
  4. try every point:       $opt/current/bin/shouwang-edge commission
I2C has to be switched on once (raspi-config, Interface Options); docs/pi.md says the rest: clock, read-only root, backup.
TEXT
}

# --- taking it away -------------------------------------------------------------------------------------------------------

uninstall() {
    if runs_systemd; then
        for service in $services; do
            [ ! -e "$units/$service" ] || step systemctl disable --now --quiet "$service"
        done
    fi
    for service in $services; do step rm -f "$units/$service"; done
    if [ "$what" = gateway ]; then step rm -f "$root/etc/systemd/system.conf.d/50-shouwang.conf"; fi
    others=$(find "$units" -maxdepth 1 -name 'shouwang-*.service' 2>/dev/null)
    if [ -z "$others" ]; then # the other half may be installed as well
        step rm -f "$root/etc/systemd/journald.conf.d/50-shouwang.conf"
        step rm -rf "$opt"
    fi
    if runs_systemd; then step systemctl daemon-reload; fi
    say "taken away; what the home has written down and how it is wired stay:"
    say "  $etc and $data, and the user $user. To delete them too: rm -r $etc $data; userdel $user"
}

changed=no
check_machine
if [ "$do_what" = uninstall ]; then
    uninstall
    exit 0
fi
install_packages
make_user
make_folders
put_configuration
install_program
check_configuration
make_current
put_services
start_services
forget_old_versions
say_what_next
