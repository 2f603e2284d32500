/** What is published: every file of an output with its SHA-256, and where the output came from. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { findFiles } from '../../datasets/git/directory-tree.ts'
import type { Run, StepRun } from '../runs/run.ts'

const fileSchema = z.object({
  /** From the top of the output, parts joined by slashes. */
  path: z.string(),
  bytes: z.int(),
  sha256: z.string(),
})
export type ManifestFile = z.output<typeof fileSchema>

export const manifestSchema = z.object({
  manifest: z.literal(1),
  run: z.string(),
  pipeline: z.string(),
  step: z.string(),
  tool: z.string(),
  /** Of the tool's image. */
  digest: z.string().optional(),
  dataset: z.string(),
  commit: z.string().optional(),
  createdMs: z.int(),
  files: z.array(fileSchema),
  /** Symbolic links of the output, which are told and not published. */
  links: z.array(z.object({ path: z.string(), target: z.string() })).optional(),
})
export type Manifest = z.output<typeof manifestSchema>

/** Under its usual name, unless the output has a file of that name itself. */
export function manifestName(files: readonly Pick<ManifestFile, 'path'>[]): string {
  return files.some(({ path }) => path === 'manifest.json') ? 'mao-manifest.json' : 'manifest.json'
}

/** Reads an output through. @throws NodeError PATH_UNSAFE, TOO_LARGE; the signal's reason. */
export async function manifestOf(p: {
  run: Run
  step: StepRun
  directory: string
  createdMs: number
  signal: AbortSignal
}): Promise<Manifest> {
  const { run, step, directory, createdMs, signal } = p
  const found = (await findFiles(directory)).toSorted((one, other) => (one.path < other.path ? -1 : 1))
  const files: ManifestFile[] = []
  const links: { path: string; target: string }[] = []
  for (const { path, target } of found) {
    signal.throwIfAborted()
    if (target !== undefined) links.push({ path, target })
    else files.push({ path, ...(await digestOf(join(directory, path), signal)) })
  }
  return {
    ...{ manifest: 1, run: run.id, pipeline: run.pipeline, step: step.name, tool: step.tool },
    ...(step.digest === undefined ? {} : { digest: step.digest }),
    dataset: step.outputDataset,
    ...(step.outputCommit === undefined ? {} : { commit: step.outputCommit }),
    ...{ createdMs, files },
    ...(links.length === 0 ? {} : { links }),
  }
}

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`
}

export async function digestOf(
  file: string,
  signal?: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  return digestOfStream(createReadStream(file, signal === undefined ? {} : { signal }))
}

export async function digestOfStream(
  content: AsyncIterable<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of content) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex') }
}
