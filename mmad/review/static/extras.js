// Parts of the page with a module of their own. Each exports `setUp(page)`, where `page` has
//   toolbar, side: elements to put buttons and panels into;
//   commands: what keys and buttons do, by name;
//   store, player, timeline, onChange(listener), tell(text);
//   openVideo(number), goTo(video, key), flush() to save what is shown but not saved yet, and
//   reload() after detections have changed.

import { setUpBlind } from "./blind.js";
import { setUpTeach } from "./teach.js";

export const extras = [setUpTeach, setUpBlind];
