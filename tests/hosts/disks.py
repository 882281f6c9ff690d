"""Cases of the disk: full, read-only, not able to keep what it took; and stores that were cut, changed or set back."""

import os
import shutil
import signal
import subprocess

from hosts import FAILED, INPUT, PATIENCE, REFUSED, check, until
from partitions import check_works_again

MANY = 40  # set-ups; some pages of a store and of the audit log are free when the disk is full
FULL = "No space left on device"


class Disk:
    """A small file system for a data directory."""

    def __init__(self, network, name, mib=8):
        self.folder = network.data(name)
        self.folder.mkdir(mode=0o700)
        mount("-t", "tmpfs", "-o", f"size={mib}m", name, self.folder)
        self.ballast = self.folder / "ballast"

    def fill(self):
        """Leaves no block free."""
        with open(self.ballast, "ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 12))
            except OSError:
                pass

    def free(self):
        self.ballast.unlink()

    def read_only(self, wanted):
        mount("-o", f"remount,bind,{'ro' if wanted else 'rw'}", self.folder)


class ThinDisk(Disk):
    """A file system that believes to have more room than there is below it: writes succeed, and syncs fail. Only root can."""

    def __init__(self, network, name):
        below = network.folder / f"{name}-below"
        below.mkdir()
        mount("-t", "tmpfs", "-o", "size=12m", name, below)
        self.image, self.ballast = below / "image", below / "ballast"
        with open(self.image, "wb") as image:
            image.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-E", "nodiscard", self.image], check=True)
        self.folder = network.data(name)
        self.folder.mkdir(mode=0o700)
        self.plug_in()

    def plug_in(self):
        mount("-o", "loop,errors=continue", self.image, self.folder)

    def unplug(self):
        """Takes it away. What it could not keep is gone with the kernel's memory of it."""
        subprocess.run(["umount", self.folder], check=True)


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def check_says(ended, code, *texts):
    """A command that failed says what happened, why and what to do."""
    check(ended.code == code, f"it ended with {ended.code} instead of {code}: {ended.said}")
    error = ended.said["error"]
    check(all(error.values()), f"it does not say what, why and what to do: {error}")
    for text in texts:
        check(text in error["why"] + error["to_do"], f"{text!r} is not said: {error}")


def check_is_the_same(network):
    """After a start of b: it is who it was, as its peer sees it."""
    before = network.sent("a", "ChannelSetupRequest")
    secagg_id = network.set_up_id("ab")
    asked = network.sent("b", "ChannelSetupRequest") + network.sent("a", "ChannelSetupRequest") - before
    check(asked == 0, f"the channel was set up again, {asked} requests")
    network.check_sums(secagg_id, "ab")
    return secagg_id


def check_has(network, acknowledged):
    missing = acknowledged - network.contexts("b")
    check(not missing, f"acknowledged, and gone: {missing}")


def set_up_while_it_fills(network, disk):
    """Set-ups whose b finds its disk full when it has the others' answers, until one fails; how that ended. The others' ids are
    acknowledged."""
    for _ in range(MANY):
        before = network.sent("b", "KeyRequest")
        os.kill(network.process("a"), signal.SIGSTOP)
        under_way = network.begin_set_up("ab")
        until("b asks its peer", lambda before=before: network.sent("b", "KeyRequest") > before)
        disk.fill()
        os.kill(network.process("a"), signal.SIGCONT)
        ended = network.ended(under_way)
        if ended.code:
            return ended
        network.acknowledged.add(ended.said["secagg_id"])
        disk.free()
    raise AssertionError(f"{MANY} contexts were stored without room")


# A disk that is full, or read-only.


def start_full(network):
    network.disk = Disk(network, "b")
    network.relay_disk = Disk(network, "relay", mib=1)
    network.start("a")
    network.acknowledged = set()


def a_full_disk_at_the_first_start_is_said_and_nothing_is_left_behind(network):
    network.disk.fill()
    check_says(network.not_starting("b"), INPUT, FULL, "free space")
    left = os.listdir(network.disk.folder)
    check(left == ["ballast"], f"left behind: {left}")
    network.disk.free()
    network.start_node("b")
    network.acknowledged.add(network.set_up_id("ab"))


def a_disk_that_fills_in_mid_set_up_fails_it_by_name(network):
    ended = set_up_while_it_fills(network, network.disk)
    check(ended.code == FAILED and FULL in ended.blamed().get("b", ""), f"the disk is not blamed: {ended.said}")
    return f"{len(network.acknowledged)} contexts before"


def while_its_disk_is_full_a_node_says_so_and_serves_what_needs_none(network):
    failing = until("the audit log fails", lambda: network.status("b")["audit"].get("failing"))
    check(FULL in failing, f"status does not say why the audit log fails: {failing}")
    check(FULL in network.log("b"), "the log does not say it")
    check_has(network, network.acknowledged)
    network.until_connected("b")
    # Whatever it protects now it must not protect again, so it protects nothing unless it has written that.
    protected = network.protect("b", min(network.acknowledged), 7)
    if protected.code:
        check_says(protected, FAILED, "disk refused")


def once_there_is_room_a_node_goes_on_by_itself(network):
    network.disk.free()
    took = check_works_again(network, "ab")
    until("the audit log is written again", lambda: "failing" not in network.status("b")["audit"])
    audit = network.command("audit", "verify", "--data", network.data("b"))
    check(audit.code == 0, f"the audit log: {audit.said}")
    check(not network.status("b")["audit"]["lost"], "audit records are lost")
    return f"after {took:.1f} s"


def what_was_acknowledged_around_a_full_disk_is_there_after_a_restart(network):
    check(network.stop("b") == 0, "it did not end well")
    network.start_node("b")
    check_has(network, network.acknowledged)
    network.check_sums(max(network.acknowledged), "ab", round_=8)
    check_is_the_same(network)
    protected = network.protect("b", max(network.acknowledged), 8)
    check_says(protected, INPUT, "round 8 was used")


def a_full_disk_at_a_later_start_is_said_and_costs_nothing(network):
    network.stop("b")
    network.disk.fill()
    check_says(network.not_starting("b"), INPUT, FULL, "free space")
    network.disk.free()
    network.start_node("b")
    check_has(network, network.acknowledged)
    check_is_the_same(network)


def a_read_only_disk_is_said_and_costs_nothing(network):
    network.stop("b")
    network.disk.read_only(True)
    check_says(network.not_starting("b"), INPUT, "Read-only file system")
    network.disk.read_only(False)
    network.start_node("b")
    check_has(network, network.acknowledged)
    check_is_the_same(network)


def a_relay_whose_disk_is_full_sets_nothing_up_and_says_so(network):
    network.relay_disk.fill()
    for scheme in ("dh", "server-key"):
        ended = network.set_up("ab", scheme)
        check_says(ended, FAILED, FULL)
    network.status("relay")
    network.relay_disk.free()
    check_works_again(network, "ab")
    network.set_up_id("ab", "server-key")


# A disk that takes what it cannot keep.


def start_thin(network):
    network.disk = ThinDisk(network, "b")
    network.start("a", "b")
    network.acknowledged = {network.set_up_id("ab")}
    os.sync()


def what_a_disk_took_and_could_not_keep_is_not_acknowledged(network):
    failed, seconds = 0, []
    for _ in range(2):
        network.disk.fill()
        for _ in range(MANY):
            ended = network.set_up("ab")
            if ended.code:
                check("disk refused" in ended.blamed().get("b", ""), f"the disk is not blamed: {ended.said}")
                failed += 1
                break
            network.acknowledged.add(ended.said["secagg_id"])
        network.disk.free()
        seconds.append(check_works_again(network, "ab"))

        network.kill("b")
        store = network.data("b") / "node.redb"
        shown = store.read_bytes()
        network.disk.unplug()
        network.disk.plug_in()
        check(store.read_bytes() == shown, "the store was not on the disk as it was shown")
        network.start_node("b")
        check_has(network, network.acknowledged)
        check_is_the_same(network)
    check(failed, "all contexts were stored without room")
    return f"{failed} of 2 times it was noticed; worked again after {max(seconds):.1f} s"


# A store that is not as it was left.


def start_stores(network):
    network.start("a", "b")
    network.set_up_id("ab")
    network.stop("b")
    network.store = network.data("b") / "node.redb"
    network.whole = network.store.read_bytes()


def check_refused_or_the_same(network, content):
    """Starts b on such a store: it refuses it and leaves it as it is, or it is who it was. Whether it refused."""
    network.store.write_bytes(content)
    network.begin_node("b")
    said = network.running["b"].answer(PATIENCE)
    if said.get("event") == "ready":
        network.until_connected("b")
        check_is_the_same(network)
        network.stop("b")
        return False
    process = network.running.pop("b").process
    code = process.wait(PATIENCE)
    check(code == REFUSED, f"it ended with {code} instead of {REFUSED}: {said}")
    check("backup" in said["error"]["to_do"], f"it does not say what to do: {said}")
    check(network.store.read_bytes() == content, "the damaged store was changed")
    return True


def a_store_that_was_cut_is_refused_and_kept(network):
    for length in (0, len(network.whole) // 2):
        check(check_refused_or_the_same(network, network.whole[:length]), f"{length} bytes were taken for a store")
    check(not check_refused_or_the_same(network, network.whole), "the whole store is refused")


def a_store_with_flipped_bytes_is_refused_or_the_same(network):
    # The first bytes, where redb says what is where; then places all over.
    places = [0, 12, 70, 200, *range(5000, len(network.whole), len(network.whole) // 8)]
    refused = 0
    for place in places:
        content = bytearray(network.whole)
        content[place] ^= 0x10
        refused += check_refused_or_the_same(network, bytes(content))
    check(refused, "no change was noticed")
    return f"{refused} of {len(places)} refused"


def an_old_backup_is_the_same_node_and_protects_no_round_twice(network):
    network.store.write_bytes(network.whole)
    network.start_node("b")
    before = network.set_up_id("ab")
    network.stop("b")
    shutil.copy(network.store, network.folder / "backup")
    network.start_node("b")
    network.check_sums(before, "ab", round_=1)
    later = network.set_up_id("ab")
    network.stop("b")

    shutil.copy(network.folder / "backup", network.store)
    network.start_node("b")
    check_is_the_same(network)
    for lost in (before, later):
        check_says(network.protect("b", lost, 1), INPUT, "run the set-up first")
    check("old backup" in network.log("b"), "the node does not say that its store is old")
