// What the report says of kata's answers, in English and in Korean, as words.ts has the rest.

import { sayingFrom } from '../bilingual.ts';

export const kataWords = {
  'metric.pass_rate': { en: 'pass rate', ko: '통과율' },
  'metric.gold': { en: 'gold', ko: '정답 보상' },
  'metric.readability': { en: 'criterion (readability)', ko: '기준 (가독성)' },
  'metric.win_rate': { en: 'win rate by gold', ko: '정답 보상 승률' },

  'headline.lead': {
    en: 'A model that only continued text was taught to answer, then to answer the way people prefer. Each model below was measured on {n} problems that no stage had seen.',
    ko: '글을 이어 쓰기만 하던 모델에게 먼저 답하는 법을, 다음으로 사람이 좋아하는 방식으로 답하는 법을 가르쳤습니다. 아래 모델은 모두 어떤 단계에서도 본 적 없는 문제 {n}개로 쟀습니다.',
  },
  'headline.continues': {
    en: 'The base model continues: {share} of its texts that go on from a question hold no answer.',
    ko: '베이스 모델은 이어 쓸 뿐입니다. 질문 뒤에 이어 쓴 글의 {share}에 답이 없습니다.',
  },
  'headline.sft': {
    en: 'Supervised fine-tuning: held-out pass rate {before} → {after}.',
    ko: '지도 미세 조정: 처음 보는 문제 통과율 {before} → {after}.',
  },
  'headline.advice': {
    en: 'Coaching accuracy: {before} → {after}. Always giving the most frequent advice: {majority}.',
    ko: '코칭 정확도: {before} → {after}. 항상 가장 흔한 조언만 하면 {majority}입니다.',
  },
  'headline.rose': {
    en: '{method} raised gold: {change}.',
    ko: '{method}: 정답 보상이 올랐습니다. {change}.',
  },
  'headline.fell': {
    en: '{method} lowered gold: {change}.',
    ko: '{method}: 정답 보상이 떨어졌습니다. {change}.',
  },
  'headline.unclear': {
    en: '{method}: no clear change in gold, the interval holds 0: {change}.',
    ko: '{method}: 정답 보상의 변화가 분명하지 않습니다(구간에 0이 들어 있음). {change}.',
  },
  'headline.hacked': {
    en: '{method} hacked its reward: proxy {proxy}, pass rate {pass}.',
    ko: '{method}: 보상을 해킹했습니다. 대리 보상 {proxy}, 통과율 {pass}.',
  },
  'headline.notHacked': {
    en: '{method} did not clearly hack its reward in this run: proxy {proxy}, pass rate {pass}.',
    ko: '{method}: 이번 실행에서 보상을 해킹했다고 분명히 말할 수 없습니다. 대리 보상 {proxy}, 통과율 {pass}.',
  },
  'headline.flagged': {
    en: 'The monitor raised its first alarm at step {step}.',
    ko: '모니터의 첫 경보: 스텝 {step}.',
  },
  'headline.notFlaggedYet': {
    en: 'The monitor has raised no alarm so far.',
    ko: '모니터는 아직 경보를 울리지 않았습니다.',
  },
  'headline.notFlagged': { en: 'The monitor raised no alarm.', ko: '모니터는 경보를 울리지 않았습니다.' },
  'headline.falseAlarm': {
    en: 'It also raised {count} alarms in a run with KL penalty: {method}.',
    ko: 'KL 페널티가 있는 실행에서도 경보를 {count}회 울렸습니다: {method}.',
  },
  'tile.pass': { en: '{method} pass rate', ko: '{method} 통과율' },
  'tile.before': { en: '{method}: {value}', ko: '{method}: {value}' },
  'tile.best': { en: 'largest gain in gold', ko: '정답 보상 최대 상승' },

  'methods.lead': {
    en: 'Gold is readability if the tests pass and 0 if not: the true objective, never shown to a method. The criterion is readability alone, which annotators judge; the proxy is the reward model’s estimate of it.',
    ko: '정답 보상은 테스트를 통과하면 가독성, 아니면 0입니다. 진짜 목표이지만 어떤 방법에도 보여 주지 않습니다. 기준은 평가자가 보는 가독성이고, 대리 보상은 보상 모델이 추정한 값입니다.',
  },
  'change.pass_rate': { en: 'Pass rate, percentage points', ko: '통과율, 퍼센트 포인트' },
  'change.gold': { en: 'Gold', ko: '정답 보상' },
  'change.win_rate': { en: 'Win rate by gold (50% is a draw)', ko: '정답 보상 승률 (50%가 무승부)' },
  'change.readability': { en: 'Criterion, where both pass', ko: '기준, 둘 다 통과한 문제' },

  'plane.chart': { en: 'KL and readability', ko: 'KL과 가독성' },
  'plane.y': { en: 'readability', ko: '가독성' },
  'over.gold': { en: 'True objective: gold', ko: '진짜 목표: 정답 보상' },
  'over.pass_rate': { en: 'True objective: pass rate', ko: '진짜 목표: 통과율' },

  'hacking.lead': {
    en: 'The reward model sees only the text, so code that reads well and does nothing earns a high score. The monitor knows neither tests nor gold; it compares a run’s signals with the normal range of the reference model.',
    ko: '보상 모델은 글만 보므로, 읽기 좋지만 하는 일이 없는 코드도 높은 점수를 받습니다. 모니터는 테스트도 정답 보상도 모른 채, 실행의 신호를 기준 모델의 정상 범위와 비교합니다.',
  },
  'hacking.both': {
    en: '{method} against {start}: proxy {proxy}, pass rate {pass}.',
    ko: '{method}, {start} 대비: 대리 보상 {proxy}, 통과율 {pass}.',
  },
  'hacking.falling': { en: 'Proxy and pass rate along training', ko: '학습 중의 대리 보상과 통과율' },
  'hacking.samples': {
    en: 'Answers with a high reward that fail the tests',
    ko: '보상은 높지만 테스트에 실패한 답',
  },

  'samples.lead': {
    en: 'Held-out requests, chosen by a fixed rule: where a method helped, where the missing KL penalty hurt, where the start model failed and another passed, where all failed, and one of coaching.',
    ko: '처음 보는 요청을 정해진 규칙으로 골랐습니다. 방법이 도움이 된 것, KL 페널티가 없어 나빠진 것, 시작 모델은 실패하고 다른 모델은 통과한 것, 모두 실패한 것, 그리고 코칭 하나입니다.',
  },
  'samples.request': { en: 'Request {number}', ko: '요청 {number}' },
  'samples.coaching': { en: 'Coaching request', ko: '코칭 요청' },
  'verdict.passed': { en: '✓ passes', ko: '✓ 통과' },
  'verdict.failed': { en: '✗ fails', ko: '✗ 실패' },
  'verdict.right': { en: '✓ right', ko: '✓ 맞음' },
  'verdict.wrong': { en: '✗ wrong', ko: '✗ 틀림' },
  'verdict.readability': { en: 'readability {value}', ko: '가독성 {value}' },
  'coaching.table': { en: 'Coaching, held-out requests', ko: '코칭, 처음 보는 요청' },
  'coaching.right': { en: 'coaching accuracy', ko: '코칭 정확도' },
  'coaching.majority': { en: 'always the most frequent answer', ko: '항상 가장 흔한 답일 때' },

  'reward.lead': {
    en: 'A reward model is only as good as its labels. Accuracy is measured against the noise-free criterion on pairs that it was not trained on; chance is 50%.',
    ko: '보상 모델은 라벨보다 나을 수 없습니다. 정확도는 학습하지 않은 쌍에서 잡음 없는 기준과 비교했습니다. 무작위는 50%입니다.',
  },
  'reward.overlap': { en: 'Could the answers be memorised?', ko: '외워서 답할 수 있을까?' },
  'reward.overlap.note': {
    en: 'Answering each held-out problem with the solution of the most similar training prompt is the pass rate to beat.',
    ko: '가장 비슷한 학습 프롬프트의 풀이를 그대로 답할 때의 통과율이, 넘어야 할 기준입니다.',
  },
  'overlap.training_programs': { en: 'programs in the training set', ko: '학습 데이터의 프로그램' },
  'overlap.held_out_programs': { en: 'held-out problems', ko: '처음 보는 문제' },
  'overlap.retrieval_passed': {
    en: 'passed by the nearest training solution',
    ko: '가장 가까운 학습 풀이로 통과',
  },
  'overlap.retrieval_pass_rate': { en: 'pass rate of retrieval', ko: '검색 통과율' },
  'overlap.equal_after_renaming': {
    en: 'equal to a training solution after renaming',
    ko: '이름만 바꾸면 학습 풀이와 같은 것',
  },
} as const satisfies Record<string, { en: string; ko: string }>;

export type KataWord = keyof typeof kataWords;

export const say = sayingFrom<KataWord>(kataWords);
