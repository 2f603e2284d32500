import { Argument, type Command } from 'commander'
import { completionTimeoutMs } from '../base/limits.ts'
import { namesOf } from './completion-names.ts'
import { SCRIPTS, SHELLS } from './completion-scripts.ts'
import { type Answer, complete, type Kind } from './completion-words.ts'
import { type Act, Session } from './session.ts'

/** What the scripts ask; people never type it. */
export const ASKING = '__complete'

/** Completion in shells. The scripts know nothing: each press of the key asks this very program, which walks its own tree. */
export function completionCommands(program: Command, act: Act): void {
  program
    .command('completion')
    .description('print what makes a shell complete commands and names')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', HELP)
    .action(
      act(async (session, shell: (typeof SHELLS)[number]) => {
        const script = SCRIPTS[shell]
        const told = () => script.trimEnd()
        session.out.result({ shell, script }, told, told)
      }),
    )

  program
    .command(`${ASKING} [words...]`, { hidden: true })
    .description('answer a shell: what the last of these words may become')
    .action(
      act(async (session, words: string[]) => {
        const answer = await complete(program, words, (kind, globals) => {
          return namesInTime(new Session(session.terminal, globals), kind)
        })
        const told = () => answerText(answer)
        session.out.result(answer, told, told)
      }),
    )
}

/** A shell waits for no node: what is not told soon, or goes wrong, is no name. */
async function namesInTime(session: Session, kind: Kind): Promise<string[]> {
  try {
    return await namesOf(session, kind, AbortSignal.timeout(completionTimeoutMs))
  } catch {
    // [boundary] Whoever presses a key wants names or nothing, and is told the error by the command itself.
    return []
  }
}

/** One line of what else completes, then a word a line with what it means. */
function answerText({ files, words }: Answer): string {
  return [files, ...words.map(({ word, text }) => (text === '' ? word : `${word}\t${text}`))].join('\n')
}

const HELP = `
bash:  maoctl completion bash > ~/.local/share/bash-completion/completions/maoctl
zsh:   maoctl completion zsh > "\${fpath[1]}/_maoctl"     (a directory of fpath, before compinit)
fish:  maoctl completion fish > ~/.config/fish/completions/maoctl.fish
Once in this shell alone: source <(maoctl completion bash)`
