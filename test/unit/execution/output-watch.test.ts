import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { excessOf, watchOutput } from '../../../src/execution/steps/output-watch.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const KIB = 1024

test('an output is measured with all that is in it, and links are not followed', async (t) => {
  const directory = await temporaryDirectory(t)
  const outside = await temporaryDirectory(t)
  await writeFile(join(outside, 'huge'), Buffer.alloc(1024 * KIB))
  await mkdir(join(directory, 'a/b'), { recursive: true })
  for (const path of ['one', 'a/two', 'a/b/three']) {
    await writeFile(join(directory, path), Buffer.alloc(100 * KIB))
  }
  await symlink(join(outside, 'huge'), join(directory, 'link'))
  await symlink(outside, join(directory, 'loop'))
  assert.equal(await excessOf({ directories: [directory], bytesMax: 400 * KIB }), undefined)
  assert.match(
    (await excessOf({ directories: [directory], bytesMax: 299 * KIB }))?.message ?? '',
    /more than 306176 bytes/,
  )
  assert.match(
    (await excessOf({ directories: [directory], bytesMax: 400 * KIB, entriesMax: 6 }))?.message ?? '',
    /6 files/,
  )
  assert.equal(await excessOf({ directories: [directory], bytesMax: 400 * KIB, entriesMax: 7 }), undefined)
  assert.equal(await excessOf({ directories: [join(directory, 'gone')], bytesMax: 1 }), undefined)
})

test('a step is stopped while the disk still has room for the node', async (t) => {
  const directory = await temporaryDirectory(t)
  const watch = watchOutput(
    { directories: [directory], bytesMax: KIB, freeBytesMin: Number.MAX_SAFE_INTEGER },
    silentLogger,
  )
  t.after(() => watch.stop())
  await eventually(() => watch.signal.aborted, 'nothing was noticed')
  assert.ok(isNodeError(watch.signal.reason, 'DISK_FULL'))
  assert.match(watch.signal.reason.message, /the disk has less than/)
})
