import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { manifestName, manifestOf, manifestText } from '../../../src/execution/publishing/manifest.ts'
import { MultipartDirectory } from '../../../src/execution/publishing/multipart-directory.ts'
import type { Run, StepRun } from '../../../src/execution/runs/run.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface Vectors {
  output: Record<string, string>
  links: Record<string, string>
  run: Partial<Run>
  step: Partial<StepRun>
  createdMs: number
  name: string
  sha256: string
  text: string
}

const file = join(import.meta.dirname, '../../../protocols/vectors/publications.json')

test('a manifest is what its specification says, to the byte', async (t) => {
  const vectors = JSON.parse(await readFile(file, 'utf8')) as Vectors
  const directory = await temporaryDirectory(t)
  for (const [path, content] of Object.entries(vectors.output)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), content)
  }
  for (const [path, target] of Object.entries(vectors.links)) await symlink(target, join(directory, path))
  const [run, step] = [vectors.run as Run, vectors.step as StepRun]
  const { signal } = new AbortController()
  const manifest = await manifestOf({ run, step, directory, createdMs: vectors.createdMs, signal })
  const text = manifestText(manifest)
  assert.equal(text, vectors.text)
  assert.equal(createHash('sha256').update(text).digest('hex'), vectors.sha256)
  assert.equal(manifestName(manifest.files), vectors.name)
  assert.equal(manifestName([{ path: 'deep/manifest.json' }]), 'manifest.json')
})

test('a directory is sent with directories before what is in them, all of one together', async () => {
  const paths = ['b/x', 'b-1', 'a', 'b/c/y', 'b.txt']
  const upload = new MultipartDirectory(paths.map((path) => ({ path, open: () => [] as never })))
  let body = ''
  for await (const part of upload.content()) body += Buffer.from(part).toString()
  const names = [...body.matchAll(/filename="([^"]*)"/g)].map(([, name = '']) => decodeURIComponent(name))
  assert.deepEqual(names, ['a', 'b', 'b/c', 'b/c/y', 'b/x', 'b-1', 'b.txt'])
})
