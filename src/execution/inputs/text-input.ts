import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { StepInput } from '../catalogue/step-input.ts'
import { checkSum } from './body-to-file.ts'
import type { Obtained, Obtaining } from './obtained.ts'

type TextInput = Extract<StepInput, { text: string }>

/** A text that stands in the step itself, as a file. @throws NodeError TOO_LARGE, CHECKSUM_MISMATCH */
export async function obtainText(input: TextInput, p: Obtaining): Promise<Obtained> {
  const content = Buffer.from(input.text)
  p.budget.take(content.length, 'A text of the step')
  const sha256 = createHash('sha256').update(content).digest('hex')
  checkSum({ what: 'The text of the step', found: sha256, wanted: input.sha256 })
  await writeFile(p.file, content, { flag: 'wx' })
  return {
    source: { kind: 'text', source: 'text', sha256, bytes: content.length },
    ...{ base: 'text.txt', path: p.file, isOwn: true, release: () => undefined },
  }
}
