/** What a hostile member may send, and what is wrong with each; the names go on "a pack with …". */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { packObjectsMax, pathDepthMax } from '../../src/base/limits.ts'
import { MIB } from '../../src/base/units.ts'
import type { AdmissionBounds } from '../../src/datasets/git/admission.ts'
import {
  blob,
  commit,
  type DeltaStep,
  delta,
  type Made,
  made,
  offsetDelta,
  packFor,
  packOf,
  rawEntry,
  refDelta,
  summed,
  tree,
} from './hostile-pack.ts'

const MISSING = 'f'.repeat(40)
export const evil = blob('evil')

export interface Offer {
  readonly pack: Buffer
  readonly want: string
  readonly bounds?: Partial<AdmissionBounds>
}

/** One tree entry, and below it whatever `inner` is. */
const holding = (mode: string, name: string | Buffer, inner: Made = evil) => ({
  ...packFor(tree([mode, name, inner.oid]), inner === evil ? [evil] : [inner, evil]),
})
const config = tree(['100644', 'config', evil.oid])
const hooks = tree(['100755', 'post-checkout', evil.oid])

export function nested(levels: number, name = 'd'): Made[] {
  const trees = [tree(['100644', 'file', evil.oid])]
  while (trees.length < levels) trees.push(tree(['40000', name, (trees.at(-1) as Made).oid]))
  return trees.reverse()
}

/** Ten times ten times ten …: a million files and more in a few hundred bytes. */
function wide(levels: number): Made[] {
  const names = [...'0123456789']
  const trees = [tree(...names.map((name) => ['100644', name, evil.oid] as const))]
  while (trees.length < levels) {
    const below = (trees.at(-1) as Made).oid
    trees.push(tree(...names.map((name) => ['40000', name, below] as const)))
  }
  return trees.reverse()
}

export const whole = (trees: readonly Made[]): Offer => packFor(trees[0] as Made, [...trees.slice(1), evil])
const git = tree(['40000', 'hooks', hooks.oid])

export const PATHS: Readonly<Record<string, Offer>> = {
  'the entry ..': holding('40000', '..', config),
  'the entry .': holding('40000', '.', config),
  'an entry ../x': holding('100644', '../x'),
  'an absolute entry': holding('100644', '/etc/passwd'),
  'an entry without a name': holding('100644', ''),
  '.GIT/config': holding('40000', '.GIT', config),
  '.git/hooks/post-checkout': packFor(tree(['40000', '.git', git.oid]), [git, hooks, evil]),
  '.git as NTFS shortens it': holding('40000', 'git~1', config),
  '.git with a stream of NTFS': holding('40000', '.git::$INDEX_ALLOCATION', config),
  '.git with dots and blanks behind it': holding('40000', '.git. .', config),
  '.git with a code point that HFS+ ignores': holding('40000', '.g\u200cit', config),
  '.git in full-width letters': holding('40000', '．ｇｉｔ', config),
  'a drive': holding('40000', 'C:', config),
  'a backslash': holding('100644', 'a\\..\\b'),
  'a device': holding('100644', 'nul'),
  'a device with an extension': holding('100644', 'Com1.csv'),
  'a control character': holding('100644', 'a\nb'),
  'a name that is not UTF-8': holding('100644', Buffer.from([0x61, 0xff])),
  'a name of 256 bytes': holding('100644', 'x'.repeat(256)),
  'a name given twice': packFor(tree(['100644', 'a', evil.oid], ['100644', 'a', evil.oid]), [evil]),
  'a link and a file to be written through it': packFor(
    tree(['120000', 'a', evil.oid], ['40000', 'a', config.oid]),
    [config, evil],
  ),
  'the same with another name between them': packFor(
    tree(['120000', 'a', evil.oid], ['100644', 'a.b', evil.oid], ['40000', 'a', config.oid]),
    [config, evil],
  ),
  'entries out of order': packFor(tree(['100644', 'b', evil.oid], ['100644', 'a', evil.oid]), [evil]),
  'a mode with a zero before it': holding('040000', 'a', config),
  'an odd mode': holding('100664', 'a'),
  'a submodule': packFor(tree(['160000', 'module', MISSING])),
  'a link where git looks for orders': holding('120000', '.gitmodules'),
  'directories deeper than is allowed': whole(nested(pathDepthMax + 1)),
  'a path longer than is allowed': whole(nested(8, 'x'.repeat(150))),
  'more files than a tree may have': whole(wide(7)),
}

export const content = blob('a'.repeat(1_000))
export const simple = (entry: Made | Buffer = content, oid = content.oid): Offer => {
  const top = tree(['100644', 'file', oid])
  return packFor(top, [entry])
}
const spoilt = (spoil: (pack: Buffer) => Buffer): Offer => {
  const { pack, want } = simple()
  return { pack: spoil(pack), want }
}
/** The file is this delta on another one. */
export const deltified = (steps: Buffer, result: string, base: Made = content): Offer => {
  const top = tree(['100644', 'file', blob(result).oid])
  return packFor(top, [base, offsetDelta(base.entry.length, steps)])
}
export const twice: readonly DeltaStep[] = [
  { from: 0, length: 1_000 },
  { from: 0, length: 1_000 },
]
const zeros = blob(Buffer.alloc(8 * MIB))
/** What stands on its own result, by the only means there is: naming each other before either is known. */
const [one, other] = [blob('b'.repeat(1_000)), blob('c'.repeat(1_000))]
const exchange = delta(1_000, 1_000, [{ from: 0, length: 1_000 }])

export const PACKS: Readonly<Record<string, Offer>> = {
  'a checksum that does not hold': spoilt((pack) => Buffer.concat([pack.subarray(0, -1), Buffer.from([1])])),
  'its end missing': spoilt((pack) => pack.subarray(0, -30)),
  'nothing but a header': spoilt((pack) => pack.subarray(0, 12)),
  'nothing at all': spoilt(() => Buffer.alloc(0)),
  'bytes behind its end': spoilt((pack) => Buffer.concat([pack, randomBytes(100)])),
  'bytes between its objects and its checksum': spoilt((pack) =>
    summed(Buffer.concat([pack.subarray(0, -20), Buffer.alloc(40)])),
  ),
  'another version': spoilt((pack) => {
    const copy = Buffer.from(pack.subarray(0, -20))
    copy.writeUInt32BE(9, 4)
    return summed(copy)
  }),
  'fewer objects than it announces': (() => {
    const tip = commit(config.oid)
    return { pack: packOf([tip, config, evil], 4), want: tip.oid }
  })(),
  'more objects than it announces': (() => {
    const tip = commit(config.oid)
    return { pack: packOf([tip, config, evil], 2), want: tip.oid }
  })(),
  'more objects than are taken': (() => {
    const tip = commit(config.oid)
    return { pack: packOf([tip, config, evil], packObjectsMax + 1), want: tip.oid }
  })(),
  'a delta whose base did not come': simple(refDelta(MISSING, exchange)),
  'all that it needs, and a delta whose base did not come': packFor(tree(['100644', 'file', evil.oid]), [
    evil,
    refDelta(MISSING, exchange),
  ]),
  'deltas that stand on each other': packFor(tree(['100644', 'x', one.oid], ['100644', 'y', other.oid]), [
    refDelta(other.oid, exchange),
    refDelta(one.oid, exchange),
  ]),
  'a delta on itself': simple(offsetDelta(0, exchange)),
  'a delta on something before the beginning': simple(offsetDelta(100_000, exchange)),
  'a delta for a base of another size': deltified(delta(999, 2_000, twice), 'a'.repeat(2_000)),
  'a delta that makes less than it says': deltified(
    delta(1_000, 3_000, twice),
    'a'.repeat(2_000) + '\0'.repeat(1_000),
  ),
  'a delta that makes more than it says': deltified(delta(1_000, 1_500, twice), 'a'.repeat(1_500)),
  'a delta that copies from beyond its base': deltified(
    delta(1_000, 100, [{ from: 950, length: 100 }]),
    'a'.repeat(50) + '\0'.repeat(50),
  ),
  'a delta that wants more memory than there is': deltified(delta(1_000, 2 ** 40, twice), 'a'),
  'a delta that wants more memory than it is given': deltified(delta(1_000, 2 ** 30, twice), 'a'),
  'an object that is more than it says': simple(rawEntry(3, 10, deflateSync(Buffer.alloc(1_000)))),
  'an object that is less than it says': simple(rawEntry(3, 5_000, deflateSync(Buffer.alloc(1_000)))),
  'an object that says it is huge': simple(rawEntry(3, 2 ** 42, deflateSync(Buffer.alloc(10)))),
  'an object of a type that there is not': simple(rawEntry(5, 4, deflateSync(Buffer.from('evil')))),
  'an object twice': packFor(tree(['100644', 'file', evil.oid]), [evil, evil]),
  'a tag': packFor(tree(['100644', 'file', evil.oid]), [
    evil,
    made('tag', `object ${evil.oid}\ntype blob\ntag x\ntagger A <a@b> 1 +0000\n\nx\n`),
  ]),
  'a commit whose tree is a file': (() => {
    const tip = commit(evil.oid)
    return { pack: packOf([tip, evil]), want: tip.oid }
  })(),
  'a commit whose parent is a directory': (() => {
    const tip = commit(config.oid, [config.oid])
    return { pack: packOf([tip, config, evil]), want: tip.oid }
  })(),
  'a directory that calls a file a directory': holding('40000', 'd', evil),
  'a directory that calls a directory a file': packFor(tree(['100644', 'f', config.oid]), [config, evil]),
  'a commit without an author': (() => {
    const tip = made('commit', `tree ${config.oid}\n\nnobody\n`)
    return { pack: packOf([tip, config, evil]), want: tip.oid }
  })(),
  'a tree that is none': (() => {
    const torn = made('tree', '100644 without an id\0')
    return packFor(torn, [evil])
  })(),
  'a tree that did not come': (() => {
    const tip = commit(MISSING)
    return { pack: packOf([tip, evil]), want: tip.oid }
  })(),
  'a file that did not come': packFor(tree(['100644', 'f', MISSING])),
  'a parent that did not come': (() => {
    const tip = commit(config.oid, [MISSING])
    return { pack: packOf([tip, config, evil]), want: tip.oid }
  })(),
  'something else than was asked for': { ...simple(), want: MISSING },
  'more bytes than are taken': { ...simple(blob(randomBytes(200_000))), bounds: { bytesMax: 100_000 } },
  'more objects than the caller takes': { ...simple(), bounds: { objectsMax: 2 } },
  'a small bomb: a file larger than is taken': {
    ...simple(zeros, zeros.oid),
    bounds: { fileBytesMax: MIB },
  },
  'a small bomb: more than is taken once it is unpacked': {
    ...simple(zeros, zeros.oid),
    bounds: { unpackedBytesMax: 4 * MIB },
  },
  'a bomb of deltas': (() => {
    const steps = Array.from({ length: 100 }, () => ({ from: 0, length: 1_000 }))
    const grown = blob('a'.repeat(100_000))
    const more = Array.from({ length: 200 }, () => ({ from: 0, length: 100_000 }))
    const top = tree(['100644', 'file', blob('a'.repeat(20_000_000)).oid])
    const grows = offsetDelta(content.entry.length, delta(1_000, 100_000, steps))
    const tip = commit(top.oid)
    const bomb = refDelta(grown.oid, delta(100_000, 20_000_000, more))
    const pack = packOf([tip, top, content, grows, bomb])
    assert.ok(pack.length < 10_000)
    return { pack, want: tip.oid, bounds: { fileBytesMax: 10 * MIB } }
  })(),
}

export type Entries = readonly (readonly [mode: string, name: string, inner: Made])[]
export const folder = tree(['100644', 'file', evil.oid])
const link = (name: string, target: string) => ['120000', name, blob(target)] as const

/** Links are let in, since what they point to is content; they end where a tree is written out. */
export const LINKS: Readonly<Record<string, Entries>> = {
  'to a file of the system': [link('passwd', '/etc/passwd')],
  'to what lies beside the tree': [['100644', 'a', evil], link('b', '../../secret')],
  'that climbs behind a link': [link('a', 'd'), link('b', 'a/../../../secret'), ['40000', 'd', folder]],
  'at the end of a chain of links': [link('a', 'b'), link('b', 'c'), link('c', '..')],
  'into the directory of git': [link('a', '.git/hooks')],
  'to a device': [link('a', 'nul')],
  'whose target has a NUL in it': [link('a', 'file\0/../../secret')],
  'whose target is longer than any path': [link('a', 'x/'.repeat(700))],
  'to nothing': [link('a', '')],
}
