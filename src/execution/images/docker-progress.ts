import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { engineLineCharactersMax } from '../../base/limits.ts'

/** One line of what Docker tells while it pulls or builds; what else stands in it is not read. */
const lineSchema = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  aux: z.object({ ID: z.string() }).optional().catch(undefined),
  error: z.unknown().optional(),
})
export type ProgressLine = z.output<typeof lineSchema>

/**
 * Reads the answer of a pull or build to its end. Docker tells of a failure in the last line of an answer that began as a
 * success.
 *
 * @throws Error with Docker's words.
 */
export async function readProgress(
  stream: NodeJS.ReadableStream,
  onLine: (line: ProgressLine) => Promise<void> = async () => undefined,
): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > engineLineCharactersMax) {
      throw new NodeError('TOO_LARGE', `The engine told a line of over ${engineLineCharactersMax} characters`)
    }
    for (const line of lines) await hear(line, onLine)
  }
  await hear(rest, onLine)
}

async function hear(line: string, onLine: (line: ProgressLine) => Promise<void>): Promise<void> {
  if (line.trim() === '') return
  const said = lineSchema.parse(JSON.parse(line))
  if (said.error !== undefined) throw new Error(String(said.error))
  await onLine(said)
}
