// The page's style: one accent a model in colours that colour-blind people can distinguish, by light
// and by dark; figures in tabular numerals; nothing that a phone would have to scroll but wide tables.

import { languages } from './bilingual.ts';
import type { Hue } from './document.ts';

const hues: Readonly<Record<Hue, { light: string; dark: string }>> = {
  gray: { light: '#646d79', dark: '#8f9aa7' },
  ink: { light: '#37414d', dark: '#cbd3dc' },
  green: { light: '#0a755b', dark: '#45c39b' },
  violet: { light: '#8454c2', dark: '#b697ec' },
  blue: { light: '#1c6ccc', dark: '#6cabf8' },
  orange: { light: '#bb410c', dark: '#f78f5d' },
  ochre: { light: '#866000', dark: '#dcb244' },
  teal: { light: '#0b6e8a', dark: '#4cc0dc' },
  rose: { light: '#b0306b', dark: '#f287b5' },
  quiet: { light: '#646d79', dark: '#8f9aa7' },
  good: { light: '#0a755b', dark: '#45c39b' },
  bad: { light: '#bb410c', dark: '#f78f5d' },
};

const huesBy = (mode: 'light' | 'dark') =>
  Object.entries(hues)
    .map(([hue, colour]) => `.m-${hue}{--hue:${colour[mode]}}`)
    .join('');

const others = { en: 'korean', ko: 'english' } as const;
/** What stands in a language disappears while the other one is chosen. */
const switching = languages
  .map((language) => `#${others[language]}:checked~* [lang=${language}]{display:none}`)
  .join('');

const page = `
:root{--page:#faf9f6;--card:#fff;--ink:#1c2126;--quiet:#5d6671;--line:#e5e2db;--soft:#f2f0ea;--shadow:#1c212633;--accent:#1c6ccc;
--good:#0a755b;--bad:#bb410c;--sans:system-ui,-apple-system,"Segoe UI","Apple SD Gothic Neo","Noto Sans KR","Malgun Gothic","NanumBarunGothic",sans-serif;
--mono:ui-monospace,"SF Mono","Cascadia Code",Menlo,Consolas,"D2Coding","NanumGothicCoding","Noto Sans Mono CJK KR",monospace}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:64px;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.6 var(--sans);word-break:keep-all;overflow-wrap:break-word}
main,footer{max-width:1196px;margin:0 auto;padding:0 24px}
h1{font-size:clamp(30px,5vw,44px);line-height:1.12;letter-spacing:-.022em;margin:0;font-weight:700}
h2{display:flex;gap:14px;align-items:baseline;font-size:24px;line-height:1.25;letter-spacing:-.014em;margin:0 0 10px}
h2 .number{flex:none;min-width:1.1em;color:var(--quiet);font-weight:400;font-variant-numeric:tabular-nums}
h3{font-size:16px;margin:30px 0 10px}
h4{font-size:13px;margin:0 0 8px;color:var(--hue)}
p{margin:0 0 14px}
section{padding:34px 0 30px;border-top:1px solid var(--line)}
section p.lead{max-width:70ch}
.note,.legend,.facts,footer,.label,.detail{font-size:13.5px;color:var(--quiet);line-height:1.5}
.note{max-width:80ch;margin-top:10px}
.masthead{padding:52px 0 34px}
.facts{margin:14px 0 0;display:flex;flex-wrap:wrap;gap:4px 22px}.facts b{color:var(--ink);font-weight:600}
footer{padding-top:20px;padding-bottom:48px;border-top:1px solid var(--line)}
.unseen,.switch{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.switch{opacity:0;pointer-events:none}
`;

const bar = `
.bar{position:sticky;top:0;z-index:2;display:flex;align-items:center;gap:20px;height:48px;padding:0 24px;background:var(--page);border-bottom:1px solid var(--line);font-size:13.5px}
.mark{font-size:15px;letter-spacing:-.01em}
.bar nav{flex:1;min-width:0;display:flex;gap:18px;overflow-x:auto;scrollbar-width:none;white-space:nowrap}
.bar nav a{color:var(--quiet);text-decoration:none;padding:12px 0}.bar nav a:hover{color:var(--ink)}
.languages{flex:none;display:flex;border:1px solid var(--line);border-radius:8px;overflow:hidden}
.languages label{padding:3px 10px;cursor:pointer;color:var(--quiet)}
#english:checked~.bar label[for=english],#korean:checked~.bar label[for=korean]{background:var(--ink);color:var(--page)}
.switch:focus-visible~.bar .languages{outline:2px solid var(--accent);outline-offset:2px}
`;

const blocks = `
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,210px),1fr));gap:14px;margin:22px 0}
.tile{background:var(--card);border:1px solid var(--line);border-top:3px solid var(--hue,var(--line));border-radius:10px;padding:14px 18px 16px;display:flex;flex-direction:column}
.tile .value{font-size:32px;font-weight:650;line-height:1.25;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.verdicts{margin:0 0 14px;padding:0;list-style:none;max-width:86ch}
.verdicts li{padding:5px 0 5px 20px;position:relative;font-variant-numeric:tabular-nums}
.verdicts li::before{content:"";position:absolute;left:2px;top:15px;width:8px;height:2px;background:var(--quiet)}
.scroll{overflow-x:auto;margin:0 0 14px;border:1px solid var(--line);border-radius:10px;
background:linear-gradient(to left,var(--card) 40%,transparent) right/44px 100% no-repeat local,linear-gradient(to left,var(--shadow),transparent) right/22px 100% no-repeat scroll,var(--card)}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:9px 8px;text-align:left;vertical-align:top;border-top:1px solid var(--line);line-height:1.4}
thead th{border-top:0;font-weight:500;font-size:12.5px;color:var(--quiet);vertical-align:bottom}
th:first-child{padding-left:16px}tbody th{font-weight:550;white-space:nowrap;position:sticky;left:0;background:var(--card)}
th.number,td.number{text-align:right}td.number{white-space:nowrap}td.prose{min-width:11em}
.scroll.few{max-width:640px}
.bounds{display:block;font-size:12px;color:var(--quiet)}
.swatch{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px;background:var(--hue);vertical-align:baseline}
.swatch.dashed{height:0;border-top:2px dashed var(--hue);background:none;vertical-align:middle}
.legend{display:flex;flex-wrap:wrap;gap:3px 16px;margin:8px 0 0}
.charts{display:grid;gap:16px;margin:16px 0}
.charts.of-3{grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}
.charts.of-2{grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));max-width:960px}
.charts.of-1{max-width:500px}
.chart-card{margin:0;padding:14px;background:var(--card);border:1px solid var(--line);border-radius:10px;min-width:0}
.chart-card figcaption{font-size:14px;margin-bottom:8px;line-height:1.35;position:relative}
.picture{margin:22px 0 6px;position:relative}
.pipeline.broad{display:none}
@media(min-width:940px){.pipeline.broad{display:block}.pipeline.narrow{display:none}}
.pipeline.narrow{max-width:430px;margin:0 auto}
`;

const pictures = `
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px var(--sans);fill:var(--ink)}
svg .tick,svg .axis{fill:var(--quiet);font-size:11px;font-variant-numeric:tabular-nums}
svg .amiss{fill:var(--bad);font-weight:600}
svg .strong{fill:var(--ink)}
.chart .row,.chart .strong,.chart .name,.chart .name~.tick{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
svg .row{font-weight:600;font-size:12.5px}
svg .name{font-weight:650;font-size:11.5px;fill:var(--hue)}
svg .letter{font-weight:700;font-size:11px;fill:var(--card)}
.grid{stroke:var(--line)}.zero{stroke:var(--quiet);stroke-opacity:.55}.notch{stroke:var(--line)}
.neutral{stroke:var(--quiet);stroke-dasharray:2 3}
.line,.raw{fill:none;stroke:var(--hue);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.raw{stroke-width:1;stroke-opacity:.3}.dashed{stroke-dasharray:5 4;stroke-width:1.75}
.dot{fill:var(--hue);stroke:var(--card);stroke-width:.75}
.whisker{fill:none;stroke:var(--hue);stroke-width:2}.thin{stroke-width:1.25;stroke-opacity:.7}
.reach,.hint{fill:transparent}.hint:hover{fill:var(--hue);fill-opacity:.35}
.stop{fill:var(--card);stroke:var(--line)}.edge{fill:var(--hue)}
.leader{fill:none;stroke:var(--hue);stroke-width:1;stroke-opacity:.75}
.flow{fill:none;stroke:var(--hue);stroke-opacity:.6;stroke-width:1.75}
`;

const rows = `
.tokens{margin:0 0 16px;padding:12px 16px 14px;background:var(--card);border:1px solid var(--line);border-radius:10px}
.tokens .legend{margin:0 0 8px}
.stream{margin:0;font:13px/1.85 var(--mono);white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere}
.stream span{padding:2px 0;border-radius:3px;box-shadow:inset -1px 0 0 var(--card);-webkit-box-decoration-break:clone;box-decoration-break:clone}
.stream s{text-decoration:none;opacity:.35}
.swatch[class*=token-]{border:1px solid var(--line)}
.token-context{background:var(--soft);color:var(--quiet)}
.token-trained{background:color-mix(in srgb,var(--accent) 20%,var(--card))}
.token-chosen{background:color-mix(in srgb,var(--good) 20%,var(--card))}
.token-rejected{background:color-mix(in srgb,var(--bad) 18%,var(--card))}
.token-action{background:color-mix(in srgb,var(--accent) 14%,var(--card))}
.token-reward{background:var(--accent);color:var(--card)}
.sample{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0 0 12px}
.sample summary{cursor:pointer;padding:13px 18px 13px 40px;list-style:none;position:relative}
.sample summary::-webkit-details-marker{display:none}
.sample summary::before{content:"";position:absolute;left:19px;top:20px;width:7px;height:7px;border:solid var(--quiet);border-width:0 2px 2px 0;transform:rotate(-45deg)}
.sample[open] summary::before{transform:rotate(45deg)}
.sample summary .label{display:block}
.sample q{quotes:none;white-space:pre-wrap;font-weight:550;font-size:15px}
.sample .right{margin:0 18px 12px}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:12px;padding:2px 16px 16px}
.answer{display:flex;flex-direction:column;min-width:0;border-left:3px solid var(--hue);background:var(--soft);border-radius:0 8px 8px 0;padding:10px 14px 9px}
.answer pre{flex:1}
pre{margin:0 0 8px;font:12.5px/1.55 var(--mono);white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;tab-size:2}
pre code{font:inherit}
.answer p{margin:0;display:flex;flex-wrap:wrap;gap:2px 14px;font-size:12.5px;font-variant-numeric:tabular-nums}
.verdict.good{color:var(--good);font-weight:650}.verdict.bad{color:var(--bad);font-weight:650}.verdict.quiet{color:var(--quiet)}
.code-c{color:var(--quiet);font-style:italic}.code-s{color:var(--good)}.code-n{color:var(--purple)}.code-k{color:var(--accent)}
:root{--purple:#8454c2}
`;

const dark = `
@media(prefers-color-scheme:dark){
:root{--page:#13161a;--card:#1a1e23;--ink:#e8ebee;--quiet:#9aa4b0;--line:#2d333a;--soft:#22272d;--shadow:#000c;--accent:#6cabf8;--good:#45c39b;--bad:#f78f5d;--purple:#b697ec}
${huesBy('dark')}}
`;

const narrow = `
@media(max-width:640px){
body{font-size:15.5px}main,footer{padding-left:16px;padding-right:16px}.bar{padding:0 16px;gap:14px}
.masthead{padding:34px 0 24px}section{padding:28px 0 22px}h2{font-size:21px;gap:10px}
.tiles{grid-template-columns:1fr 1fr;gap:10px}.tile{padding:11px 13px 12px}.tile .value{font-size:24px}
.chart-card{padding:12px 10px}.tokens{padding:10px 12px}
th,td{padding:8px 10px}.sample summary{padding:11px 12px 11px 34px}.sample summary::before{left:14px}.answers{padding:2px 10px 12px}
}
@media print{.bar{display:none}section,.chart-card,.answer{break-inside:avoid}}
`;

export const styleSheet = [page, huesBy('light'), bar, blocks, pictures, rows, dark, narrow, switching].join(
  '',
);
