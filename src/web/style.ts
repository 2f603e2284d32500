/** The page's style: plain, for small screens first, in the colours that the reader's system asks for. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --paper: #ffffff; --quiet: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --good: #1a7f37; --bad: #b3261e; --busy: #8a5a00; --link: #0b57d0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --paper: #0d1117; --quiet: #9da7b1; --line: #30363d; --panel: #161b22;
    --good: #4ac26b; --bad: #ff8179; --busy: #e0a84a; --link: #7fb0ff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto; padding: 1rem; max-width: 70rem;
  color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 0.25rem; }
p { margin: 0.25rem 0 0.5rem; }
#status, .nothing, caption, dt { color: var(--quiet); }
#status { flex: 1; min-width: 10rem; }
code { font-family: ui-monospace, monospace; font-size: 0.9em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.5rem 0; }
dd { margin: 0; }
form { display: grid; gap: 0.5rem; max-width: 30rem; margin: 1.5rem 0; }
input, select, button {
  font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.5rem 0.75rem; min-height: 2.75rem;
}
button { cursor: pointer; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; margin: 0.5rem 0; border: 1px solid var(--line); border-radius: 0.4rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: 0.35rem 0.6rem; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.6rem; border-top: 1px solid var(--line); overflow-wrap: normal; }
th { background: var(--panel); font-weight: 600; white-space: nowrap; }
pre { overflow-x: auto; margin: 0.25rem 0 0.75rem; padding: 0.5rem; background: var(--panel); border-radius: 0.4rem; }
details { padding: 0.3rem 0; }
summary { cursor: pointer; }
a { color: var(--link); }
.steps { margin: 0; padding: 0; list-style: none; }
.mark { white-space: nowrap; }
.good { color: var(--good); }
.bad, .trouble { color: var(--bad); }
.busy { color: var(--busy); }
.idle { color: var(--quiet); }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.4rem; } }
`
