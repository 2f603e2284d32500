/**
 * The vectors of protocols/verification.md: `node test/support/proof-vectors.ts` writes them anew. Bytes that stand in
 * several cases are written once.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { proofCases } from './proof-cases.ts'

export const PROOF_VECTORS = join(import.meta.dirname, '../../protocols/vectors/verification.json')

const byName = z.record(z.string(), z.int())
const vectorsSchema = z.object({
  about: z.string(),
  blobs: z.array(z.base64()),
  cases: z
    .array(
      z.object({
        name: z.string(),
        federation: z.string(),
        id: z.string().optional(),
        truth: z.string().nullable(),
        files: byName,
        commits: byName,
        held: z.int(),
        height: z.int().optional(),
        clause: z.string().optional(),
      }),
    )
    .min(1),
})
export type ProofVectors = z.infer<typeof vectorsSchema>

export async function readProofVectors(): Promise<ProofVectors> {
  return vectorsSchema.parse(JSON.parse(await readFile(PROOF_VECTORS, 'utf8')))
}

export async function makeProofVectors(): Promise<ProofVectors> {
  const blobs: string[] = []
  const places = new Map<string, number>()
  const placed = (bytes: ReadonlyMap<string, Uint8Array>) => {
    const entries = [...bytes].map(([name, one]) => {
      const text = Buffer.from(one).toString('base64')
      if (!places.has(text)) places.set(text, blobs.push(text) - 1)
      return [name, places.get(text) as number]
    })
    return Object.fromEntries(entries.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)))
  }
  const cases = (await proofCases()).map(({ name, world, held, clause, height, id }) => ({
    ...{
      name,
      federation: world.federation,
      ...(id === undefined ? {} : { id }),
      truth: world.truth ?? null,
    },
    ...{ files: placed(world.files), commits: placed(world.commits), held },
    ...(clause === undefined ? {} : { height: height ?? held + 1, clause }),
  }))
  const about =
    'files are those of the branch certificates, commits are raw; both name places in blobs, which are base64. id: of the dataset that is asked for, where one is. held: links that hold; clause and height: the first that is broken.'
  return { about, blobs, cases }
}

/** The bytes that a case names, by path or id. */
export function bytesOf(
  { blobs }: ProofVectors,
  named: Readonly<Record<string, number>>,
): Map<string, Buffer> {
  const bytes = Object.entries(named).map(
    ([name, at]) => [name, Buffer.from(blobs[at] as string, 'base64')] as const,
  )
  return new Map(bytes)
}

if (import.meta.main) await writeFile(PROOF_VECTORS, `${JSON.stringify(await makeProofVectors(), null, 1)}\n`)
