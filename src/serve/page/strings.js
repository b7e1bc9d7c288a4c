// What the page says, in English and in Chinese.

const table = {
  skip: ["Skip to content", "跳到正文"],
  views: ["Views", "视图"],
  ask: ["Ask", "提问"],
  search: ["Search", "搜索"],
  index: ["Index", "索引"],
  map: ["Map", "地图"],
  activity: ["Activity", "动态"],
  quality: ["Quality", "质量"],
  other_language: ["中文", "English"],
  switch_language: ["中文 – change the language", "English – 切换语言"],
  new_chat: ["New conversation", "新对话"],

  ask_title: ["What would you like to know?", "想了解什么？"],
  ask_holds: ["{documents} documents in {pipeline} are ready to answer.", "{pipeline} 中的 {documents} 篇文档随时为你作答。"],
  ask_placeholder: ["Ask the documents…", "向文档提问……"],
  question: ["Question", "问题"],
  send: ["Ask", "提问"],
  stop: ["Stop", "停止"],
  keys: [
    "Enter asks, Shift+Enter begins a new line, / comes back here, Esc stops.",
    "Enter 提问，Shift+Enter 换行，/ 回到输入框，Esc 停止。",
  ],
  you: ["Question", "问题"],
  answer: ["Answer", "回答"],
  searching: ["Looking for passages…", "正在查找相关段落……"],
  reading: ["Reading {n} sources…", "正在阅读 {n} 处来源……"],
  searched_for: ["Searched for: {text}", "检索：{text}"],
  sources: ["Sources", "来源"],
  source: ["Source {n}", "来源 {n}"],
  uncited: ["also found", "另有"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  again: ["Ask again", "重新提问"],
  stopped: ["Stopped. What was written stays.", "已停止，保留已写出的内容。"],
  cut_off: ["The connection ended before the answer did.", "连接在回答完成前中断了。"],
  remark: ["{remark}", "{remark}"],
  fallback: ["{from} failed, {to} answers.", "{from} 失败，由 {to} 作答。"],
  lines: ["lines {from}–{to}", "第 {from}–{to} 行"],
  line: ["line {from}", "第 {from} 行"],
  page: ["page {n}", "第 {n} 页"],
  seconds: ["{n} s", "{n} 秒"],
  first_after: ["first words after {time}", "{time}后开始作答"],
  tokens: ["{in} + {out} tokens", "{in} + {out} 个词元"],
  note_empty: ["The model answered with nothing.", "模型没有给出任何内容。"],
  note_length: ["The answer was cut at the model's limit of tokens.", "回答因达到词元上限而被截断。"],
  note_refused: ["The provider's filter stopped the answer.", "回答被服务商的过滤器拦下。"],
  note_passages: [
    "No model wrote an answer: these are the passages that fit best. For one in words set OPENAI_API_KEY or ANTHROPIC_API_KEY, start Ollama, or name a model below.",
    "没有模型作答：以下是最相关的段落。若要文字回答，请设置 OPENAI_API_KEY 或 ANTHROPIC_API_KEY、启动 Ollama，或在下方指定模型。",
  ],
  note_nothing_found: ["Nothing was found on this question.", "没有找到与此问题相关的内容。"],
  note_unanswerable: ["No model was asked: the documents do not seem to hold the answer.", "文档中似乎没有答案，没有询问模型。"],
  doubtful: ["Not in this source: {what}", "此来源中没有：{what}"],
  doubt: ["Not in [{n}]: {kind} “{said}”", "[{n}] 中没有：{kind}“{said}”"],
  doubt_number: ["number", "数字"],
  doubt_date: ["date", "日期"],
  doubt_unit: ["unit", "单位"],
  doubt_name: ["name", "名称"],
  doubt_quote: ["quote", "引文"],
  doubt_negation: ["the reverse", "相反的说法"],
  doubt_support: ["not supported", "没有依据"],
  unknown: ["Cites sources that do not exist: {n}", "引用了不存在的来源：{n}"],

  options: ["Options", "选项"],
  pipeline: ["Pipeline", "流水线"],
  model: ["Model", "模型"],
  model_placeholder: ["provider/model", "服务商/模型"],
  filters: ["Only documents with", "仅限文档"],
  filters_hint: ["path=guides/** · lang=zh · modified>2026-01-01", "path=guides/** · lang=zh · modified>2026-01-01"],
  remove: ["Remove {term}", "移除 {term}"],
  results: ["Results", "结果数"],
  copies: ["Show near-copies", "显示近似副本"],

  search_title: ["Search the passages", "搜索段落"],
  search_placeholder: ["Words, names, a question…", "关键词、名称或问题……"],
  search_empty: ["The passages that fit best, with their scores. No model is asked.", "显示最相关的段落及其得分，不调用模型。"],
  found: ["{n} passages in {time}", "{n} 个段落，用时 {time}"],
  found_none: ["No passage fits. Try other words, or fewer filters.", "没有匹配的段落。换个说法，或减少筛选条件。"],
  score: ["Score", "得分"],
  leg_vector: ["meaning", "语义"],
  leg_words: ["words", "字词"],
  leg_rerank: ["reranked", "重排"],
  leg_at: ["no. {rank} · {score}", "第 {rank} 位 · {score}"],
  leg_not: ["not found by it", "未命中"],
  also_in: ["also in {uri}", "另见 {uri}"],

  index_title: ["What the index holds", "索引内容"],
  documents: ["documents", "文档"],
  chunks: ["passages", "段落"],
  failed: ["failed", "失败"],
  embedded_by: ["Embeddings", "向量模型"],
  answers_by: ["Answers", "回答模型"],
  first_there: ["the first that is there", "首个可用的模型"],
  store: ["Store", "存储"],
  file: ["Pipeline file", "流水线文件"],
  cache: ["Cached embeddings", "缓存的向量"],
  not_reloaded: ["Its file has changed and is not valid; the old one is served on:", "文件已更改但无效，仍使用旧版本："],
  failures: ["Documents that failed", "失败的文档"],
  no_index: ["There is no index yet", "还没有索引"],
  no_index_hint: [
    "Make one in a terminal, in this service's folder; this page notices.",
    "在终端里、本服务的目录中运行以下命令；本页会自动更新。",
  ],
  no_sources: [
    "This pipeline names no folders of its own: run this beside the service to index some.",
    "此流水线没有指定来源：在服务旁运行以下命令来建立索引。",
  ],
  update: ["Update the index", "更新索引"],
  prune: ["Remove documents that are gone, however many", "移除已不存在的文档，无论多少"],
  checksum: ["Compare contents, not dates", "比较内容而非日期"],
  ingest: ["Ingest", "入库"],
  progress: ["Progress", "进度"],
  cancel: ["Stop the ingest", "停止入库"],
  cancelling: ["Stopping: what is in flight is stored…", "正在停止：写完在途内容……"],
  state_waiting: ["waits for its turn", "等待中"],
  state_running: ["running", "进行中"],
  state_done: ["done", "已完成"],
  state_interrupted: ["stopped", "已停止"],
  state_failed: ["failed", "失败"],
  seen: ["seen", "已查看"],
  added: ["added", "新增"],
  changed: ["changed", "更改"],
  unchanged: ["unchanged", "未变"],
  removed: ["removed", "移除"],
  stored: ["passages stored", "已存段落"],
  tokens_count: ["tokens", "词元"],
  busiest: ["Busy with", "当前瓶颈"],
  limited_by: ["limited by {stage}", "瓶颈：{stage}"],
  took: ["took {time}", "用时 {time}"],
  cost: ["cost {usd}", "花费 {usd}"],
  stage_read: ["reading", "读取"],
  stage_parse: ["parsing", "解析"],
  stage_chunk: ["chunking", "切分"],
  stage_context: ["saying where chunks stand", "说明片段位置"],
  stage_embed: ["embedding", "向量化"],
  stage_store: ["storing", "写入"],
  throughput: ["Passages a second", "每秒段落数"],

  read_hint: ["The arrow keys read the values", "用方向键逐点读数"],
  as_table: ["As a table", "以表格显示"],
  time: ["Time", "时间"],
  no_stage: ["nothing", "无"],
  activity_title: ["What goes on", "服务动态"],
  asked_title: ["Questions and searches", "提问与搜索"],
  ingests_title: ["Ingests", "入库"],
  last_minutes: ["the last 10 minutes", "最近 10 分钟"],
  last_hour: ["the last hour", "最近 1 小时"],
  last_hours: ["the last 4 hours", "最近 4 小时"],
  up_for: ["The service has run for {time}.", "服务已运行 {time}。"],
  no_ingest_lately: ["No ingest ran in this time.", "这段时间没有入库。"],
  rate_documents: ["Documents a second", "每秒文档数"],
  rate_chunks: ["Passages stored a second", "每秒写入段落数"],
  rate_tokens: ["Tokens embedded a second", "每秒向量化词元数"],
  rate_requests: ["Requests to providers a second", "每秒向服务商的请求数"],
  quota_used: ["Quota used", "已用配额"],
  quota_held: ["Time held back by a quota", "受配额限制的时间"],
  rate_answers: ["Answers a minute", "每分钟回答数"],
  rate_searches: ["Searches a minute", "每分钟搜索数"],
  answering: ["Answers under way", "正在作答"],
  searching_now: ["Searches under way", "正在搜索"],
  limit_over_time: ["The limiting stage", "瓶颈阶段"],

  quality_title: ["How well passages are found", "检索质量"],
  quality_hint: [
    "What ragstream eval has measured: each mean with the interval in which, with a confidence of 95 %, it would lie for other questions of the same kind.",
    "ragstream eval 的测量结果：每项均值及其 95 % 置信区间，即换一批同类问题时均值所在的范围。",
  ],
  quality_none: ["Nothing has been measured yet", "还没有测量结果"],
  quality_how: [
    "Measure with questions of your own, and which documents answer them: a folder with corpus/, queries.jsonl and qrels.tsv.",
    "准备自己的问题及对应的文档：一个包含 corpus/、queries.jsonl 和 qrels.tsv 的文件夹，然后运行：",
  ],
  quality_more: ["Show earlier ones", "显示更早的结果"],
  questions: ["{n} questions", "{n} 个问题"],
  figure: ["Figure", "指标"],
  difference: ["difference", "差值"],
  significant: ["more than chance", "并非偶然"],
  times: ["p50 / p99", "p50 / p99"],

  map_search: ["Find a question on the map", "在地图上查找问题"],
  map_placeholder: ["Where would its answer lie?", "答案会在哪里？"],
  map_loading: ["Laying the passages out…", "正在排布段落……"],
  map_all: ["All {n} passages, the more alike the nearer.", "全部 {n} 个段落，越相似越靠近。"],
  map_sample: [
    "A sample of {n} of {all} passages, the more alike the nearer.",
    "{all} 个段落中抽样的 {n} 个，越相似越靠近。",
  ],
  map_shares: [
    "The plane shows {both} of what their vectors differ by ({x} across, {y} up): what lies near is often, and not always, alike.",
    "平面保留了向量差异的 {both}（横轴 {x}，纵轴 {y}）：靠近的往往相似，但并非总是如此。",
  ],
  map_found: ["The {n} passages that fit best, as they are numbered on the map:", "最相关的 {n} 个段落，编号与地图上的一致："],
  map_label: ["Map of {n} passages in {groups} groups", "{n} 个段落的地图，分为 {groups} 组"],
  map_keys: [
    "The arrow keys go from passage to passage, Enter opens one, plus and minus zoom, 0 shows all, Escape lets go.",
    "方向键在段落间移动，Enter 打开，加减号缩放，0 显示全部，Esc 取消选择。",
  ],
  zoom_in: ["Zoom in", "放大"],
  zoom_out: ["Zoom out", "缩小"],
  zoom_all: ["Show all", "显示全部"],
  others: ["others", "其他"],
  top_folder: ["in no folder", "顶层"],
  group: ["Group", "组"],
  share: ["Share", "占比"],
  middle: ["Middle", "中心"],

  document: ["Document", "文档"],
  close: ["Close", "关闭"],
  open_alone: ["Open by itself", "单独打开"],
  open_web: ["Open the web page", "打开网页"],
  previous: ["Previous source", "上一处来源"],
  next: ["Next source", "下一处来源"],
  earlier: ["Show earlier lines", "显示前面的行"],
  later: ["Show later lines", "显示后面的行"],
  loading: ["Loading…", "加载中……"],
  back: ["Ask a question", "去提问"],
  marked: ["Cited passage, {where}", "引用的段落，{where}"],

  login_title: ["This service wants a token", "此服务需要令牌"],
  login_hint: ["The one that it was started with (--token).", "即启动服务时的 --token。"],
  token: ["Token", "令牌"],
  login: ["Log in", "登录"],
  unreachable: ["The service does not answer. Is it running?", "服务没有响应。它在运行吗？"],
  retry_in: ["Try again in {n} s.", "请在 {n} 秒后重试。"],
  try_again: ["Try again", "重试"],
};

const KEY = "ragstream.lang";
let now = stored() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const lang = () => now;

export function setLang(next) {
  now = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing: the language holds until the page is left.
  }
}

export const has = (key) => key in table;

export function t(key, vars = {}) {
  const text = table[key]?.[now === "zh" ? 1 : 0] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => vars[name] ?? "");
}
