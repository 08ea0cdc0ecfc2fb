// The page: asks the server about one image, point or video at a time, and shows what it answers.
"use strict";

const part = (id) => document.getElementById(id);
const VIDEO = /\.(avi|mkv|mov|mp4|webm)$/i;
const TELL = ["waited", "read", "found", "drawn"]; // steps of an answer

let models = [];
let mostBytes = 0;
let model = 0;
let source = null; // {example: number} or {blob, name}, and whether it moves
let threshold = null; // null is the model's own
let asking = null; // ends the question that is being answered
let stream = null; // of the webcam
let frames = []; // of the video that is shown

async function start() {
  try {
    const facts = await (await fetch("models")).json();
    models = facts.models;
    mostBytes = facts.most_bytes;
  } catch {
    return fail("The server does not answer. Is `centernet demo` still running?");
  }
  models.forEach((one, number) => {
    const tab = element("button", one.title);
    tab.type = "button";
    tab.role = "tab";
    tab.onclick = () => select(number);
    part("tabs").append(tab);
  });
  select(0);
}

function element(kind, text = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

function show(id, wanted) {
  part(id).hidden = !wanted;
}

function select(number) {
  stop();
  model = number;
  source = threshold = null;
  const { tasks, classes, backbone, input, examples } = models[model];
  [...part("tabs").children].forEach((tab, place) => tab.setAttribute("aria-selected", place === model));
  const named = classes.length > 12 ? `${classes.slice(0, 12).join(", ")}, ...` : classes.join(", ");
  part("facts").textContent = `${tasks.join(" + ")}, ${backbone}, input ${input}. Classes: ${named}`;
  part("examples").replaceChildren(...examples.map(exampleButton));
  clear();
  showThreshold();
  part("status").textContent = examples.length ? "Choose an example, or upload an image." : "Upload an image.";
}

function exampleButton({ name, moving }, number) {
  const button = element("button");
  const image = element("img");
  button.type = "button";
  button.title = name;
  image.src = `models/${model}/examples/${number}`;
  image.alt = name;
  button.append(image);
  if (moving) {
    const play = element("span", "video");
    play.className = "play";
    button.append(play);
  }
  button.onclick = () => look({ example: number, moving });
  return button;
}

function look(chosen) {
  stop();
  press(chosen.example);
  source = chosen;
  clear();
  ask();
}

function press(example) {
  [...part("examples").children].forEach((one, number) => one.setAttribute("aria-pressed", number === example));
}

function clear() {
  ["error", "all", "figure", "frames", "heat", "classes", "objects", "details", "mark"].forEach((id) => show(id, false));
  part("status").textContent = "";
}

function fail(message) {
  clear();
  part("error").textContent = message;
  show("error", true);
}

// What the server is sent of an example is its number, of a file or a frame its bytes.
function send(what, parameters, signal) {
  const query = new URLSearchParams(parameters);
  if (source.example === undefined) query.set("name", source.name);
  else query.set("example", source.example);
  return fetch(`models/${model}/${what}?${query}`, { method: "POST", body: source.blob, signal });
}

async function ask(point = null) {
  if (!source) return;
  if (source.blob && source.blob.size > mostBytes) {
    return fail(`${source.name}: the file is larger than ${mostBytes >> 20} MB. Make it smaller.`);
  }
  asking?.abort();
  const question = (asking = new AbortController());
  const parameters = threshold === null ? {} : { threshold };
  if (!stream) part("status").textContent = "Looking ...";
  try {
    if (source.moving) return await watch(parameters, question);
    if (part("heatmap").checked) parameters.heatmap = 1;
    const response = await send(point ? "point" : "image", point ?? parameters, question.signal);
    const answer = await response.json();
    if (answer.error) fail(answer.error);
    else showAnswer(answer);
  } catch (error) {
    if (error.name !== "AbortError") fail("The server does not answer. Is `centernet demo` still running?");
  }
}

// Frames come as lines of JSON, each as soon as it is told.
async function watch(parameters, question) {
  const response = await send("video", parameters, question.signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  frames = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (waiting + value).split("\n");
    waiting = lines.pop();
    lines.map((line) => JSON.parse(line)).forEach((answer) => (answer.error ? fail(answer.error) : showFrame(answer)));
  }
  if (waiting) fail(JSON.parse(waiting).error); // an error instead of frames is no line
}

function showFrame(answer) {
  if (answer.frame > frames.length) frames.push(answer); // else it is shown again
  const slider = part("frames").querySelector("input");
  [slider.max, slider.value] = [frames.length, answer.frame];
  show("frames", true);
  showPicture(answer);
  part("status").textContent = `${counted(answer.objects)}. Frame ${answer.frame} of ${answer.frames ?? "?"}`;
}

function showAnswer(answer) {
  show("error", false);
  showPicture(answer);
  showMark(answer);
  show("all", Boolean(answer.point));
  show("heat", Boolean(answer.heatmap));
  if (answer.heatmap) part("heat").querySelector("img").src = answer.heatmap.url;
  const times = TELL.map((step) => `${step} ${answer.times[step]} ms`).join(", ");
  const what = answer.point ? `At (${answer.point.map(Math.round).join(", ")})` : counted(answer.objects);
  part("status").textContent = `${what}. Time: ${times}`;
  showTable("classes", "What is there", answer.classes ?? []);
  showTable("objects", "Objects", answer.point ? [] : answer.objects.map((one) => [one.category, one.score]));
  const json = JSON.stringify(answer.objects, null, 1);
  part("details").querySelector("pre").textContent = json.length > 40000 ? `${json.slice(0, 40000)} ...` : json;
  show("details", answer.objects.length > 0);
}

function counted(objects) {
  return objects.length === 1 ? "1 object" : `${objects.length} objects`;
}

function showPicture({ picture, width, height }) {
  const shown = part("picture");
  shown.src = picture.url;
  shown.width = picture.width;
  shown.height = picture.height;
  shown.classList.toggle("still", !points());
  part("caption").textContent = points() ? "Click on the image: what is there?" : `${width}x${height} pixels`;
  show("figure", true);
}

function points() {
  return source && !source.moving && !stream && models[model].stills;
}

// The image lies in the element's top left corner, as large as fits; panels follow to its right.
function scale() {
  const { clientWidth, clientHeight, width, height } = measured();
  return Math.min(clientWidth / width, clientHeight / height);
}

function measured() {
  const shown = part("picture");
  const [width, height] = ["width", "height"].map((side) => Number(shown.getAttribute(side)));
  return { clientWidth: shown.clientWidth, clientHeight: shown.clientHeight, width, height };
}

function showMark({ point }) {
  show("mark", Boolean(point));
  if (!point) return;
  part("mark").style.left = `${point[0] * scale()}px`;
  part("mark").style.top = `${point[1] * scale()}px`;
}

function showTable(id, caption, rows) {
  show(id, rows.length > 0);
  part(id).querySelector("caption").textContent = caption;
  const lines = rows.slice(0, 50).map(([name, score]) => {
    const line = element("tr");
    line.append(element("td", name), element("td", score.toFixed(2)));
    return line;
  });
  part(id).querySelector("tbody").replaceChildren(...lines);
}

function showThreshold() {
  const own = models[model].threshold;
  const number = typeof own === "number";
  part("threshold").value = threshold ?? (number ? own : 0.3);
  part("chosen").textContent = threshold === null && !number ? "own" : Number(part("threshold").value).toFixed(2);
  show("usual", threshold !== null);
}

async function openWebcam() {
  if (stream) return stop();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
  } catch (error) {
    return fail(`The webcam cannot be used: ${error.message}.`);
  }
  const camera = part("camera");
  camera.srcObject = stream;
  await camera.play();
  part("webcam").textContent = "Stop the webcam";
  press();
  clear();
  const canvas = element("canvas");
  while (stream) {
    [canvas.width, canvas.height] = [camera.videoWidth, camera.videoHeight];
    canvas.getContext("2d").drawImage(camera, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    if (!stream) return;
    source = { blob, name: "webcam" };
    await ask();
    if (!part("error").hidden) return stop();
  }
}

// Whatever is going on ends: the webcam, and an answer that nobody waits for any more.
function stop() {
  asking?.abort();
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  part("webcam").textContent = "Webcam";
}

function take(file) {
  if (file) look({ blob: file, name: file.name, moving: file.type.startsWith("video/") || VIDEO.test(file.name) });
}

part("file").onchange = (event) => {
  take(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
};
part("drop").ondragover = (event) => {
  event.preventDefault();
  part("drop").classList.add("over");
};
part("drop").ondragleave = () => part("drop").classList.remove("over");
part("drop").ondrop = (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
};
part("threshold").oninput = (event) => {
  threshold = Number(event.target.value);
  showThreshold();
};
part("threshold").onchange = () => ask();
part("usual").onclick = () => {
  threshold = null;
  showThreshold();
  ask();
};
part("heatmap").onchange = () => ask();
part("frames").oninput = (event) => showFrame(frames[event.target.value - 1]);
part("all").onclick = () => ask();
part("webcam").onclick = openWebcam;
part("picture").onclick = (event) => {
  if (points()) ask({ x: event.offsetX / scale(), y: event.offsetY / scale() });
};
start();
