#!/usr/bin/env python3
"""Checks the ground truth of a dataset from a copy of its repository. A second verifier beside verify-truth.mjs, written
from protocols/verification.md, with Python's standard library alone; signatures by RFC 8032, section 5.1.7.

  python3 verify_truth.py REPOSITORY [FEDERATION-ID [DATASET-ID]]
  python3 verify_truth.py --vectors verification.json       prints what it finds of each case, as JSON
"""
import base64, hashlib, json, os, re, subprocess, sys

SKEW_MS, BYTES_MAX = 600_000, 65_536

# ---- Ed25519 (RFC 8032) ----------------------------------------------------------------------------------------------
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, a):
    sum_ = (0, 1, 1, 0)
    while n:
        if n & 1:
            sum_ = add(sum_, a)
        a, n = add(a, a), n >> 1
    return sum_


def point(text):
    """Decodes a point; None for what is none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def holds(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(k, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---- Forms (section 3) -------------------------------------------------------------------------------------------------
class Broken(Exception):
    def __init__(self, clause, reason):
        super().__init__(reason)
        self.clause = clause


def demand(truth, clause, reason):
    if not truth:
        raise Broken(clause, reason)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def base58(data):
    digits, number, text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = digits[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def varint(number):
    text = bytearray()
    while number >= 0x80:
        text.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(text) + bytes([number])


def open_envelope(data, kind):
    """[F1], envelope.md [E2] to [E6]: the signer's peer id and the payload."""
    demand(len(data) <= BYTES_MAX, "F1", "an envelope is too large")
    at, fields = 0, []
    for tag in (0x0A, 0x12, 0x1A, 0x2A):
        if at >= len(data) or data[at] != tag:
            fields.append(b"")
            continue
        at, length, shift, byte = at + 1, 0, 0, 0x80
        while byte & 0x80:
            demand(at < len(data) and shift < 21, "F1", "an envelope is malformed")
            byte = data[at]
            demand(byte or not shift, "F1", "an envelope is malformed")
            at, length, shift = at + 1, length | (byte & 0x7F) << shift, shift + 7
        demand(0 < length <= len(data) - at, "F1", "an envelope is malformed")
        fields.append(data[at : at + length])
        at += length
    key, type_, payload, signature = fields
    demand(at == len(data) and len(key) == 36 and len(signature) == 64, "F1", "an envelope is malformed")
    demand(key[:4] == b"\x08\x01\x12\x20", "F1", "an envelope is of another kind of key")
    demand(type_ == f"/mao/{kind}/1".encode(), "F1", f"an envelope holds no {kind}")
    signed = b"".join(varint(len(part)) + part for part in (f"mao-{kind}".encode(), type_, payload))
    demand(holds(key[4:], signed, signature), "F1", "a signature does not hold")
    return base58(b"\x00\x24" + key), payload


def decode_cbor(data):
    """[F2]"""

    def item(at, depth):
        demand(at < len(data) and depth < 17, "F2", "a payload ends early")
        major, info, at = data[at] >> 5, data[at] & 31, at + 1
        if major == 7:
            demand(info in (20, 21, 22), "F2", "a payload has something else")
            return {20: False, 21: True, 22: None}[info], at
        demand(info < 28 and major != 6, "F2", "a payload has something else")
        size = 0 if info < 24 else 1 << (info - 24)
        demand(at + size <= len(data), "F2", "a payload ends early")
        number = info if size == 0 else int.from_bytes(data[at : at + size], "big")
        demand(size == 0 or number >= (24 if size == 1 else 1 << (4 * size)), "F2", "a length is not the shortest")
        at += size
        if major < 2:
            return (number if major == 0 else -1 - number), at
        if major < 4:
            demand(at + number <= len(data), "F2", "a payload ends early")
            part = data[at : at + number]
            return (bytes(part) if major == 2 else part.decode("utf-8")), at + number
        if major == 4:
            values = []
            for _ in range(number):
                value, at = item(at, depth + 1)
                values.append(value)
            return values, at
        values, before = {}, None
        for _ in range(number):
            key, at = item(at, depth + 1)
            demand(isinstance(key, str), "F2", "a key is no text")
            place = (len(key.encode()), key.encode())
            demand(before is None or before < place, "F2", "keys are not in order")
            values[key], at = item(at, depth + 1)
            before = place
        return values, at

    value, end = item(0, 0)
    demand(end == len(data), "F2", "a payload goes on behind its end")
    return value


def parse_json(data):
    try:
        return json.loads(data.decode("utf-8") if isinstance(data, bytes) else data)
    except ValueError:
        return None


def matches(pattern, value):
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def is_time(value):
    return type(value) is int and 0 <= value < 2**53


def is_peer(value):
    return matches("[A-Za-z0-9]{1,100}", value)


def is_oid(value):
    return matches("[0-9a-f]{40}", value)


def is_name(value):
    return matches("[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", value) and ".." not in value and not value.endswith(".lock")


def from_base64(value):
    """[F5] None for what is not in its one spelling."""
    try:
        data = base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        return None
    return data if base64.b64encode(data).decode() == value else None


def maybe(is_, value):
    return value is None or is_(value)


FIELDS = {"federation", "key", "value", "version", "time", "since", "expires", "author"}


def open_record(data, federation):
    """[F3]"""
    author, payload = open_envelope(data, "record")
    record = decode_cbor(payload)
    demand(isinstance(record, dict) and set(record) <= FIELDS, "F3", "it is no record")
    is_form = matches(r"(/[A-Za-z0-9._~-]+)+", record.get("key")) and is_time(record.get("time"))
    is_form = is_form and is_time(record.get("since")) and isinstance(record.get("value", 0), (bytes, type(None)))
    is_ours = record.get("author") == author and record.get("federation") == federation
    demand(is_form and is_ours, "F3", "it is no record of its signer in this federation")
    said = None if record["value"] is None else parse_json(record["value"])
    return {**record, "hash": sha256(payload), "said": said}


def open_genesis(data, expected):
    """[G1], [G2]"""
    demand(data is not None, "G1", "there is no genesis")
    author, payload = open_envelope(data, "genesis")
    digest = base64.b32encode(hashlib.sha256(payload).digest()).decode().lower().rstrip("=")
    demand(expected in (None, "maob" + digest), "G1", "this is the genesis of maob" + digest)
    genesis = decode_cbor(payload)
    peers = [one["peer"] for one in [genesis["founder"], *genesis.get("founders", [])]]
    is_once = len(set(peers)) == len(peers) and peers[0] == author
    demand(is_once and is_time(genesis["createdMs"]), "G2", "it is not by its founder")
    return {"federation": "maob" + digest, "createdMs": genesis["createdMs"], "founders": peers}


# ---- The roll (section 4) ------------------------------------------------------------------------------------------------
def read_roll_record(data, federation, dataset):
    """[R1] None for what says nothing about who votes."""
    try:
        record = open_record(data, federation)
    except (Broken, ValueError):
        return None
    _, room, *rest = record["key"].split("/")
    said, author = record["said"], record["author"]
    if not isinstance(said, dict):
        return None
    get = said.get
    if room == "members" and len(rest) == 1:
        times_ = all(maybe(is_time, get(name)) for name in ("since", "worksSince", "until"))
        is_word = get("role") in ("operator", "member", "observer") and is_name(get("name")) and times_
        return {**record, "kind": "word", "peer": rest[0]} if is_word and isinstance(get("removed", {}), dict) else None
    if room == "successions" and rest == [author]:
        try:
            signer, payload = open_envelope(from_base64(get("proof")) or b"", "succession")
            proof = decode_cbor(payload)
        except (Broken, ValueError):
            return None
        is_proven = proof == {"federation": federation, "old": author, "successor": signer}
        return {**record, "kind": "succession"} if is_proven and get("successor") == signer != author else None
    if room == "dataset" and rest == [dataset]:
        founder, id_ = get("founder", author), get("id", dataset)
        made = sha256(f"{founder}\n{dataset}\n{get('seed')}".encode())[:32]
        is_form = is_peer(founder) and maybe(is_time, get("foundedMs")) and maybe(is_oid, get("initial"))
        is_seed = lambda value: matches("[0-9a-f]{32}", value)
        is_legacy = "seed" not in said and id_ == dataset and not is_seed(id_)
        is_form = is_form and (is_legacy or (is_seed(get("seed")) and id_ == made))
        return {**record, "kind": "dataset", "founder": founder, "id": id_} if is_form else None
    if room == "grants" and len(rest) == 3 and rest[0] == dataset and rest[2] == author:
        is_form = isinstance(get("vote"), bool) and is_time(get("since")) and maybe(is_time, get("until"))
        return {**record, "kind": "grant", "peer": rest[1]} if is_form else None
    return None


def in_force(records, at):
    return next((one for one in reversed(records) if one["time"] <= at), records[0] if records else None)


class Roll:
    def __init__(self, genesis, records):
        self.genesis, self.words, self.grants, self.next, self.before = genesis, {}, {}, {}, {}
        ordered = sorted(records, key=lambda one: (one["time"], one["hash"]))
        of = lambda kind: [one for one in ordered if one["kind"] == kind]
        for one in of("succession"):
            if one["author"] not in self.next:
                self.next[one["author"]] = one
                self.before.setdefault(one["said"]["successor"], one)
        self.founders = [self.node(peer) for peer in genesis["founders"]]
        for word in of("word"):
            if self.is_operator(word["author"], word["time"]):
                self.words.setdefault(self.node(word["peer"]), []).append(word)
        by_operator = lambda one: self.is_operator(one["author"], one["time"])
        may = lambda one, founder: self.node(one["author"]) == self.node(founder) or by_operator(one)
        is_proven = lambda one: "seed" in one["said"] and may(one, one["founder"])
        self.datasets = [one for one in of("dataset") if is_proven(one) or by_operator(one)]
        for grant in of("grant"):
            about = next((one for one in self.datasets if one["id"] == grant["said"].get("dataset")), None)
            if about and may(grant, about["founder"]):
                self.grants.setdefault(self.node(grant["peer"]), []).append(grant)

    def node(self, key):
        """[R2]"""
        walked = []
        while key in self.next:
            if key in walked:
                return min(walked[walked.index(key) :])
            walked.append(key)
            key = self.next[key]["said"]["successor"]
        return key

    def start(self, word, node):
        said = word["said"]
        return said.get("worksSince", said.get("since", 0 if node in self.founders else word["since"]))

    def place(self, node, at):
        """[R4] (role, start, is over), or None."""
        words = [word for word in self.words.get(node, []) if word["time"] <= at]
        if not words:
            created = self.genesis["createdMs"]
            return ("operator", created, False) if node in self.founders and created <= at else None
        said = words[-1]["said"]
        is_over = "removed" in said or ("until" in said and said["until"] <= at)
        return said["role"], self.start(words[-1], node), is_over

    def place_or_later(self, node, at):
        place, words = self.place(node, at), self.words.get(node, [])
        if place is not None or not words:
            return place
        start = self.start(words[0], node)
        return (words[0]["said"]["role"], start, False) if start <= at + SKEW_MS else None

    def is_operator(self, key, at):
        """[R3], [R5]"""
        works = lambda node: (lambda place: place and place[0] == "operator" and not place[2])(self.place(node, at))
        node = self.node(key)
        if any(works(one) for one in [*self.founders, *self.words]):
            return bool(works(node))
        stays = (one for one in self.founders if (lambda place: place and not place[2])(self.place(one, at)))
        return node == next(stays, self.founders[0])

    def votes(self, key, at):
        """[R7]"""
        if key in self.next and self.next[key]["time"] <= at:
            return False
        if key in self.before and self.before[key]["time"] > at + SKEW_MS:
            return False
        node = self.node(key)
        place = self.place_or_later(node, at)
        return place is not None and place[0] != "observer" and not place[2] and self.is_granted(node, at)

    def voters(self, at):
        """[R8]"""
        for node in {*self.words, *self.founders}:
            place = self.place(node, at)
            if place and place[0] != "observer" and not place[2] and place[1] <= at and self.is_granted(node, at):
                yield node

    def is_granted(self, node, at):
        """[R9]"""
        about = in_force(self.datasets, at)
        access = about["said"].get("access") if about else None
        if access is None or node == self.node(about["founder"]):
            return True
        ends = [0, *access.get("voteBefore", []), access["voteSince"], float("inf")]
        spans, is_open = [], access["vote"] == "members"
        for from_, until in reversed(list(zip(ends, ends[1:]))):
            if is_open:
                spans.append((from_, until))
            is_open = not is_open
        grant = in_force(self.grants.get(node, []), at)
        if grant:
            spans += [tuple(span) for span in grant["said"].get("voted", [])]
            if grant["said"]["vote"]:
                spans.append((grant["said"]["since"], grant["said"].get("until", float("inf"))))
        return any(from_ <= at < until for from_, until in spans)


# ---- The chain (section 5) -------------------------------------------------------------------------------------------------
def read_certificate(data, federation, dataset):
    one = parse_json(data) if len(data) <= BYTES_MAX else None
    is_form = isinstance(one, dict) and is_oid(one.get("commit")) and maybe(is_oid, one.get("parent", 0))
    is_form = is_form and is_time(one.get("height")) and one["height"] > 0 and is_time(one.get("view"))
    is_form = is_form and all(isinstance(one.get(name), str) for name in ("round", "opening", "closing"))
    confirmations = one.get("confirmations") if is_form else None
    is_form = is_form and isinstance(confirmations, dict) and all(map(is_peer, confirmations))
    demand(is_form and all(from_base64(text) is not None for text in confirmations.values()), "C1", "it is no certificate")
    parts = one["round"].split("/")
    is_round = len(parts) == 3 and is_name(parts[0]) and is_name(parts[1]) and not parts[1].startswith(("for.", "vote."))
    demand(is_round and matches("0|[1-9][0-9]{0,15}", parts[2]) and int(parts[2]) < 2**53, "C1", "it names no round")
    opening, closing = parse_json(one["opening"]), parse_json(one["closing"])
    electorate = opening.get("electorate") if isinstance(opening, dict) else None
    is_list = isinstance(electorate, list) and 0 < len(electorate) <= 64 and all(map(is_peer, electorate))
    is_list = is_list and all(a < b for a, b in zip(electorate, electorate[1:]))
    quorum = opening.get("quorum") if is_list else None
    demand(isinstance(quorum, dict) and is_time(opening.get("openedMs")), "C1", "its opening cannot be read")
    is_quorum = is_time(quorum.get("ballots")) and quorum["ballots"] > 0 and isinstance(quorum.get("proven", []), list)
    demand(is_quorum, "C1", "its opening cannot be read")
    ballots = closing.get("ballots") if isinstance(closing, dict) else None
    is_closing = isinstance(ballots, dict) and matches("[0-9a-f]{64}", closing.get("opening"))
    is_ballot = lambda ballot: isinstance(ballot, dict) and is_oid(ballot.get("commit")) and is_oid(ballot.get("tree"))
    demand(is_closing and all(map(is_peer, ballots)) and all(map(is_ballot, ballots.values())), "C1", "its closing cannot be read")
    demand(parts[0] == dataset, "C2", "it is about the dataset " + parts[0])
    demand(closing["opening"] == sha256(one["opening"].encode()), "C3", "its closing belongs to another opening")
    is_same = one["parent"] == opening.get("parent") and one["height"] == opening.get("height")
    demand(is_same and one["view"] >= opening["openedMs"], "C4", "its height, parent or view is not that of its opening")
    demand(set(ballots) <= set(electorate), "C5", "it counts a ballot from outside the electorate")
    is_enough = len(ballots) >= quorum["ballots"] or (bool(ballots) and set(ballots) <= set(quorum.get("proven", [])))
    demand(is_enough and quorum.get("votes") == 2 * len(electorate) // 3 + 1, "C5", "it counts too few, or its quorum is another")
    closing_hash = sha256(one["closing"].encode())
    for signer, sealed in sorted(confirmations.items()):
        demand(signer in electorate, "C6", signer + " is not in the electorate")
        try:
            record = open_record(from_base64(sealed), federation)
        except (Broken, ValueError):
            record = {"author": None}
        is_by = record["author"] == signer and record["key"] == f"/confirmations/{one['round']}/{signer}"
        demand(is_by, "C7", f"the confirmation of {signer} is not by it, or for something else")
        said = record["said"] if isinstance(record["said"], dict) else {}
        is_it = (said.get("closing"), said.get("commit"), said.get("view")) == (closing_hash, one["commit"], one["view"])
        demand(is_it, "C8", f"the confirmation of {signer} names another result")
    slot = {"dataset": parts[0], "step": parts[1], "slot": int(parts[2])}
    return {**one, **slot, "electorate": electorate, "openedMs": opening["openedMs"], "signers": sorted(confirmations)}


def check_link(link, before, height, roll):
    at = link["openedMs"]
    demand(link["height"] == height, "L1", f"what stands here is of height {link['height']}")
    demand(before is None or link["parent"] == before["commit"], "L2", "its parent is not the truth before it")
    began = [one["said"].get("initial") for one in roll.datasets] or [None]
    demand(before or link["parent"] in began, "L2", "no record says that the dataset was founded with its parent")
    demand(before is None or at > before["openedMs"], "L3", "its round was not opened later than that of the truth before it")
    about = in_force(roll.datasets, at)
    demand(about is None or at >= min(about["said"].get("foundedMs", 0), about["time"]), "L4", "opened before the dataset was founded")
    for key in link["electorate"]:
        demand(roll.place_or_later(roll.node(key), at), "R6", f"{key} is in its electorate, and no record admits it by then")
    nodes = {roll.node(key) for key in link["signers"] if roll.votes(key, at)}
    voters = {roll.node(key) for key in link["electorate"]} | set(roll.voters(at))
    demand(3 * len(nodes) > 2 * len(voters), "C9", f"{len(nodes)} of {len(voters)} is not more than two thirds")
    return {**link, "counted": len(nodes), "voters": len(voters)}


def check_commit(data, link):
    id_ = hashlib.sha1(b"commit %d\0" % len(data or b"") + (data or b"")).hexdigest()
    demand(id_ == link["commit"], "T2", f"its commit {link['commit']} is not here, or not whole")
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    parents = [line[7:] for line in head.split("\n") if line.startswith("parent ")]
    demand(parents == ([link["parent"]] if link["parent"] else []), "T2", "its commit follows another one")
    begin = f"Ground truth {link['height']} of {link['dataset']}, step {link['step']}\n\nRound: {link['round']}\n"
    author = f"author MAO consensus <consensus@mao.invalid> {link['slot'] // 1000} +0000"
    is_ours = message.startswith(begin) and author in head.split("\n")
    demand(is_ours, "T3", "its commit names another round, height, author or time")


def verify(files, commits, truth, expected=None, expected_id=None):
    held, height = [], 0
    try:
        genesis = open_genesis(files.get("genesis"), expected)
        found = (re.fullmatch(r"certificates/(\d+)/([1-9]\d{0,5})\.json", path) for path in files)
        paths = {int(one[2]): one[0] for one in found if one and int(one[1]) == int(one[2]) // 100}
        last, height = max(paths, default=0), 1
        demand(last, "L1", "there is no certificate")
        newest = parse_json(files[paths[last]])
        dataset = str(newest.get("round") if isinstance(newest, dict) else "").split("/")[0]
        rolled = [data for path, data in files.items() if re.fullmatch("roll/[0-9a-f]{2}/[0-9a-f]{64}", path)]
        records = [read_roll_record(data, genesis["federation"], dataset) for data in rolled]
        roll = Roll(genesis, [one for one in records if one])
        demand(len({one["id"] for one in roll.datasets}) < 2, "R9", "its roll has records of several datasets")
        id_ = roll.datasets[0]["id"] if roll.datasets else dataset
        demand(expected_id in (None, id_), "R9", f"this is the dataset {id_}")
        for height in range(1, last + 1):
            demand(height in paths, "L1", "the certificate of this height is not here")
            link = read_certificate(files[paths[height]], genesis["federation"], dataset)
            held.append(check_link(link, held[-1] if held else None, height, roll))
        demand(truth == held[-1]["commit"], "T1", f"the branch ground-truth is at {truth}")
        for link in reversed(held):
            height = link["height"]
            check_commit(commits.get(link["commit"]), link)
    except Broken as broken:
        return {"held": held, "height": height, "clause": broken.clause, "reason": str(broken)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return {"held": held, "height": height, "clause": "F2", "reason": f"something is of another form: {error!r}"}
    return {"held": held}


# ---- Where it comes from ---------------------------------------------------------------------------------------------------
def git(path, *words, data=b""):
    more = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_CONFIG_NOSYSTEM": "1"}
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, **more}
    return subprocess.run(["git", "--no-pager", "-C", path, *words], input=data, env=env, capture_output=True)


def read_repository(path):
    for base in ("refs/remotes/origin/", "refs/heads/"):
        tips = [git(path, "rev-parse", "--verify", "--quiet", base + name + "^{commit}") for name in ("certificates", "ground-truth")]
        branch, truth = (tip.stdout.decode().strip() for tip in tips)
        if branch:
            break
    demand(branch, "B1", "this repository has no branch certificates")
    blob = lambda oid, type_="blob": git(path, "cat-file", type_, oid).stdout
    lines = git(path, "ls-tree", "-r", "-z", branch).stdout.decode().split("\0")
    entries = [line[12:].split("\t") for line in lines if line.startswith("100644 blob ")]
    files = {name: blob(oid) for oid, name in entries}
    said = [parse_json(data) or {} for name, data in files.items() if name.startswith("certificates/")]
    names = ("refs/heads/ground-truth", "refs/remotes/origin/ground-truth", "ground-truth")
    tips = [git(path, "rev-parse", "--verify", "--quiet", name + "^{commit}").stdout.decode().strip() for name in names]
    others = sorted({*tips} - {truth, ""})
    commits = {one["commit"]: blob(one["commit"], "commit") for one in said if is_oid(one.get("commit"))}
    return files, commits, truth, others


def is_partial(path):
    """[T4]"""
    said = git(path, "config", "--list", "--name-only").stdout.decode("utf-8", "replace").lower()
    packs = git(path, "rev-parse", "--path-format=absolute", "--git-path", "objects/pack").stdout.decode().strip()
    promised = os.path.isdir(packs) and any(name.endswith(".promisor") for name in os.listdir(packs))
    return promised or re.search(r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$", said, re.M)


def main(words):
    if words[:1] == ["--vectors"]:
        vectors = json.load(open(words[1], encoding="utf-8"))
        blobs = [base64.b64decode(blob) for blob in vectors["blobs"]]
        for case in vectors["cases"]:
            files, commits = ({name: blobs[at] for name, at in case[part].items()} for part in ("files", "commits"))
            found = verify(files, commits, case["truth"], case["federation"], case.get("id"))
            print(json.dumps({"name": case["name"], **found, "held": len(found["held"])}))
        return 0
    files, commits, truth, others = read_repository(words[0])
    found = verify(files, commits, truth, *words[1:3])
    if "clause" not in found and others:
        found.update(height=len(found["held"]), clause="T1", reason=f"another ground-truth is at {' '.join(others)}")
    for link in found["held"]:
        print(link["height"], link["commit"], link["round"], f"{link['counted']} of {link['voters']}")
    if "clause" in found:
        print(f"NOT HELD at height {found['height']} [{found['clause']}]: {found['reason']}")
        return 1
    if is_partial(words[0]):
        print("NOT HELD [T4]: it is a part of another repository: what is missing counts as promised")
        return 1
    fsck = git(words[0], "fsck", "--full", "--no-dangling", "--no-progress")
    print("OK" if fsck.returncode == 0 else "NOT HELD [T4]: " + fsck.stderr.decode("utf-8", "replace"))
    return fsck.returncode and 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"NOT HELD [{broken.clause}]: {broken}")
