/** Where the page begins. */

import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/tables.css";
import "./styles/trace.css";
import "./styles/pages.css";
import "./theme";
import { render } from "preact";
import { App } from "./app";
import { showHidden } from "./parts/visible";

showHidden();
const root = document.getElementById("page");
if (root) render(<App />, root);
