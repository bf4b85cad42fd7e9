import hashlib
import unittest
from binascii import b2a_base64, hexlify

from device import node_wire, start
from device.update import PROVE_MS, RESTART, Updater
from tests.device.fakes import PowerCut, TearingFlash

NODE = "n-203"
KEY = bytes(range(32))
OLD = {"main.py": b"old main " * 20, "wire.py": b"shared " * 30, "gone.py": b"not in the new one"}
NEW = {"main.py": b"new main " * 120, "wire.py": b"shared " * 30, "levels.py": b"", "more.py": b"more"}


def manifest(files, release, key=KEY, node=NODE):
    listed = []
    for name in sorted(files):
        listed.append(node_wire.File(name, len(files[name]), hexlify(hashlib.sha256(files[name]).digest()).decode()))
    signature = node_wire.sign(key, node_wire.signed_bytes(node, release, "0.2.0", listed))
    return node_wire.Update(release, "0.2.0", tuple(listed), signature)


def flash_with(files):
    content = {"/a/release": b"1 0.1.0"}
    for name in files:
        content["/a/device/" + name] = files[name]
    return TearingFlash(content)


def firmware(flash, slot):
    """What a slot would run."""
    folder = "/" + slot + "/device/"
    return {name[len(folder) :]: flash.content[name] for name in flash.content if name.startswith(folder)}


class Gateway:
    """Answers what an Updater asks for."""

    def __init__(self, files, release=2):
        self.files = files
        self.update = manifest(files, release)
        self.asked = []
        self.said = []

    def serve(self, updater, turns=200, is_safe=True, offer=True):
        """Turns of the node's loop; whether it wants to restart."""
        if offer:
            updater.offered(self.update)
        for turn in range(turns):
            said = updater.step(1_000 + turn, is_safe)
            if said == RESTART:
                return True
            if said is None:
                continue
            self.said.append(said.state)
            if said.state == "fetching":
                self.asked.append(said.file)
                updater.piece(self.chunk(said), 1_000 + turn)
        return False

    def chunk(self, asked):
        data = self.files[asked.file][asked.offset : asked.offset + node_wire.CHUNK_BYTES]
        return node_wire.Chunk(asked.release, asked.file, asked.offset, b2a_base64(data).decode().strip())


class TestUpdate(unittest.TestCase):
    def setUp(self):
        self.flash = flash_with(OLD)
        self.gateway = Gateway(NEW)

    def updater(self):
        slot = start.choose(self.flash)
        return slot, Updater(self.flash, slot, NODE, KEY)

    def test_fetched_proved_started_confirmed(self):
        slot, updater = self.updater()
        self.assertEqual((slot, updater.release, updater.version), ("a", 1, "0.1.0"))
        self.assertTrue(self.gateway.serve(updater))
        self.assertEqual(sorted(set(self.gateway.asked)), ["main.py", "more.py"], "what is shared is not fetched")
        slot, updater = self.updater()
        self.assertEqual((slot, updater.release, updater.version, updater.on_trial), ("b", 2, "0.2.0", True))
        self.assertEqual(firmware(self.flash, "b"), NEW)
        self.assertEqual(firmware(self.flash, "a"), OLD)
        updater.heard()
        self.assertEqual(updater.step(0, True).state, "confirmed")
        self.assertEqual(self.updater()[0], "b")
        self.assertFalse("/trial" in self.flash.content)

    def test_the_next_one_goes_back_into_the_first_folder(self):
        self.gateway.serve(self.updater()[1])
        self.updater()[1].heard()
        again = dict(NEW)
        again["main.py"] = b"third"
        self.assertTrue(Gateway(again, release=3).serve(self.updater()[1]))
        slot, updater = self.updater()
        self.assertEqual((slot, updater.release), ("a", 3))
        self.assertEqual(firmware(self.flash, "a"), again)

    def test_nothing_but_the_gateways_own_is_taken(self):
        _, updater = self.updater()
        before = dict(self.flash.content)
        updater.offered(manifest(NEW, 2, key=bytes(32)))
        updater.offered(manifest(NEW, 2, node="n-204"))
        self.assertEqual([updater.step(0, True).state for _ in range(2)], ["refused", "refused"])
        keyless = Updater(self.flash, "a", NODE, b"")
        keyless.offered(manifest(NEW, 2, key=b""))
        self.assertEqual(keyless.step(0, True).why, "key: expected 32 bytes in board.py, got fewer")
        updater.offered(manifest(NEW, 1))
        self.assertTrue(updater.step(0, True) is None, "an older one is not even answered")
        self.assertEqual(self.flash.content, before)

    def test_a_file_with_another_hash_is_refused_after_three_tries(self):
        self.gateway.files = dict(NEW)
        self.gateway.files["main.py"] = b"other!!! " * 120
        _, updater = self.updater()
        self.assertFalse(self.gateway.serve(updater))
        self.assertEqual(self.gateway.said[-1], "refused")
        self.assertEqual(self.gateway.asked.count("main.py"), 3 * 2)
        self.assertFalse(self.gateway.serve(updater))
        self.assertEqual(self.gateway.asked.count("main.py"), 3 * 2, "not again before the next start")
        self.assertEqual(self.updater()[0], "a")

    def test_a_piece_that_was_not_asked_for_changes_nothing(self):
        _, updater = self.updater()
        updater.offered(self.gateway.update)
        asked = updater.step(1_000, True)
        while asked is None:
            asked = updater.step(1_000, True)
        good = self.gateway.chunk(asked)
        before = dict(self.flash.content)
        for bad in (
            (9, good.file, good.offset, good.data),
            (good.release, "more.py", good.offset, good.data),
            (good.release, good.file, 1024, good.data),
            (good.release, good.file, good.offset, ""),
            (good.release, good.file, good.offset, "!"),
            (good.release, good.file, good.offset, b2a_base64(b"x" * 1025).decode()),
        ):
            updater.piece(node_wire.Chunk(*bad), 1_000)
        self.assertEqual(self.flash.content, before)
        updater.piece(good, 1_001)
        self.assertEqual(updater.step(1_001, True).offset, 1024)
        updater.piece(good, 1_002)
        self.assertEqual(len(self.flash.content["/b/device/part"]), 1024)

    def test_a_lost_piece_is_asked_for_again(self):
        _, updater = self.updater()
        updater.offered(self.gateway.update)
        asked = [updater.step(now_ms, True) for now_ms in range(1_000, 20_000, 100)]
        asked = [said for said in asked if said is not None]
        self.assertEqual(len(asked), 4)
        self.assertEqual({(said.file, said.offset) for said in asked}, {("main.py", 0)})

    def test_a_node_in_alarm_does_not_restart(self):
        _, updater = self.updater()
        self.assertFalse(self.gateway.serve(updater, is_safe=False))
        self.assertFalse("/trial" in self.flash.content)
        self.assertTrue(self.gateway.serve(updater, is_safe=True, offer=False))

    def test_a_release_that_is_not_acknowledged_is_rolled_back_and_never_taken_again(self):
        self.gateway.serve(self.updater()[1])
        slot, updater = self.updater()
        self.assertFalse(updater.overdue(PROVE_MS - 1))
        self.assertTrue(updater.overdue(PROVE_MS))
        slot, updater = self.updater()
        self.assertEqual((slot, firmware(self.flash, slot)), ("a", OLD))
        self.assertEqual(updater.step(0, True).state, "rolled_back")
        self.assertFalse(self.gateway.serve(updater))
        self.assertEqual(self.gateway.said[-1], "refused")
        self.assertTrue(Gateway(NEW, release=3).serve(updater))

    def test_a_release_that_does_not_even_start_is_rolled_back(self):
        self.gateway.serve(self.updater()[1])
        self.assertEqual([start.choose(self.flash) for _ in range(5)], ["b", "b", "b", "a", "a"])
        self.assertEqual(start.refused_release(self.flash), 2)


class TestPowerCut(unittest.TestCase):
    """The power goes at every operation of the flash there is, and the board starts one whole firmware or the other."""

    def run_until_cut(self, flash, gateway):
        """A board's life: starts, updates, is acknowledged; ends with the cut or when release 2 is confirmed."""
        for _ in range(10):
            slot = start.choose(flash)
            updater = Updater(flash, slot, NODE, KEY)
            updater.heard()
            if updater.release == 2 and not updater.on_trial:
                return
            gateway.serve(updater)

    def check(self, flash):
        slot = start.choose(flash)
        self.assertTrue(firmware(flash, slot) == (OLD if slot == "a" else NEW), "slot " + slot)
        return slot

    def test_at_every_operation(self):
        whole = flash_with(OLD)
        self.run_until_cut(whole, Gateway(NEW))
        self.assertTrue(whole.operations > 15)
        for cut in range(whole.operations):
            for torn in (0, 100):
                flash = flash_with(OLD)
                flash.cut_after, flash.torn_bytes = cut, torn
                with self.assertRaises(PowerCut):
                    self.run_until_cut(flash, Gateway(NEW))
                flash.power_up()
                self.check(flash)
                self.run_until_cut(flash, Gateway(NEW))
                self.assertEqual(self.check(flash), "b")

    def test_at_every_operation_of_a_rollback(self):
        staged = flash_with(OLD)
        Gateway(NEW).serve(Updater(staged, start.choose(staged), NODE, KEY))
        for cut in range(4):
            flash = TearingFlash(staged.content)
            slot = start.choose(flash)
            flash.operations, flash.cut_after = 0, cut
            try:
                Updater(flash, slot, NODE, KEY).overdue(PROVE_MS)
            except PowerCut:
                pass
            flash.power_up()
            self.check(flash)
            for _ in range(start.STARTS):
                start.choose(flash)
            self.assertEqual(self.check(flash), "a")
            self.assertEqual(start.refused_release(flash), 2)

    def test_a_flash_that_is_full_ends_the_update_and_nothing_else(self):
        flash = flash_with(OLD)
        updater = Updater(flash, start.choose(flash), NODE, KEY)
        updater.offered(manifest(NEW, 2))
        flash.is_full = True
        try:
            Gateway(NEW).serve(updater, offer=False)
        except OSError as error:
            updater.failed(error)
        self.assertEqual(updater.step(0, True).state, "refused")
        self.assertEqual(self.check(flash), "a")


class TestChoose(unittest.TestCase):
    def test_a_folder_that_does_not_say_its_release_was_flashed_over_a_cable(self):
        for text in (b"", b" ", b"x 1", b"\xff 1"):
            self.assertEqual(start.release_of(TearingFlash({"/a/release": text}), "a"), (0, "flashed"))
        for text, version in ((b"12 0.2.0", "0.2.0"), (b"12 a b", "a b"), (b"12 ", ""), (b"12 \xff", "")):
            self.assertEqual(start.release_of(TearingFlash({"/a/release": text}), "a"), (12, version))

    def test_whatever_the_files_hold_a_slot_is_chosen(self):
        for trial in (b"", b"b", b"b 2", b"b x 0", b"c 2 0", b"a 2 0", b"b 2 9", b"\xff\xfe", b"b 2 0 0"):
            for slot in (None, b"", b"a", b"b", b"x"):
                flash = TearingFlash({"/trial": trial})
                if slot is not None:
                    flash.content["/slot"] = slot
                self.assertTrue(start.choose(flash) in ("a", "b"), trial)


if __name__ == "__main__":
    unittest.main()
