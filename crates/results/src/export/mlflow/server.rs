//! The conversation with an MLflow server, over its REST interface, version 2.0.
//!
//! One request finds or makes the experiment, one a hundred runs finds those that are there, and a cell that is not there yet, or not
//! as it is here, takes three or four. A record's checksum, the tag `bakeoff.exported`, is set last: a cell that has it is left
//! alone, and an export that was interrupted is made whole by the next. Values are logged at the time when their run began there, so
//! that repeating them gives the same points, which a server keeps once.

use super::{DIGEST, Record, records};
use crate::row::{Row, Run};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use thiserror::Error;
use ureq::Agent;
use ureq::http::Response;

/// Set last, to a checksum of what was told.
const EXPORTED: &str = "bakeoff.exported";

/// Bytes of an answer at most.
const LARGEST_ANSWER: u64 = 64 << 20;

/// Entries of one call: MLflow takes 1000 in all and 100 parameters.
const MOST_METRICS: usize = 800;
const MOST_PARAMS: usize = 100;

/// Pages of runs that are looked through: more, and a server that never ends is speaking.
const MOST_PAGES: usize = 100_000;

/// Why an export failed. What was told before is kept there, and telling it again doubles nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MlflowError {
    /// The address is none.
    #[error(
        "{url} is no address of an MLflow server: expected http://HOST:PORT or https://HOST, found another scheme or none"
    )]
    Address {
        /// The address as given.
        url: String,
    },
    /// Nobody answered, or not in time.
    #[error("no answer from {url}: {problem}")]
    Silent {
        /// What was asked.
        url: String,
        /// Why.
        problem: String,
    },
    /// The server said no.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's code, empty where it gave none.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The answer is not MLflow's.
    #[error("{url} does not answer like an MLflow server: expected {expected}, found {found}")]
    Strange {
        /// What was asked.
        url: String,
        /// What was expected.
        expected: String,
        /// The beginning of what was found.
        found: String,
    },
    /// The experiment was deleted there.
    #[error("the experiment {name} is deleted on the server: restore it there, or choose another name")]
    Deleted {
        /// Its name.
        name: String,
    },
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For a request with its answer.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), request: Duration::from_secs(60) }
    }
}

/// What came of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// The experiment's id on the server.
    pub experiment_id: String,
    /// Runs that are new there.
    pub created: usize,
    /// Runs that were there, and not as they are here.
    pub updated: usize,
    /// Runs that were there already.
    pub unchanged: usize,
}

/// An MLflow server.
pub struct Server {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// A run that is on the server.
struct There {
    run_id: String,
    started: i64,
    exported: Option<String>,
}

impl Server {
    /// The server at this address, `http://HOST:PORT` or `https://HOST`, with a path where it has one. `token` is sent as a bearer token.
    ///
    /// # Errors
    /// [`MlflowError::Address`] for another scheme.
    pub fn at(url: &str, token: Option<String>, timeouts: Timeouts) -> Result<Self, MlflowError> {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            return Err(MlflowError::Address { url: url.to_owned() });
        }
        let config = Agent::config_builder()
            .timeout_connect(Some(timeouts.connect))
            .timeout_global(Some(timeouts.request))
            .http_status_as_error(false)
            .build();
        Ok(Self { agent: config.into(), base: url.trim_end_matches('/').to_owned(), token })
    }

    /// Tells the server of all rows, as runs of the experiment of this name. `now` is the time in milliseconds since 1970, when new runs
    /// begin there.
    ///
    /// # Errors
    /// The first thing that fails.
    pub fn export(&self, experiment: &str, run: &Run, rows: &[Row], now: i64) -> Result<Exported, MlflowError> {
        let mut exported = Exported { experiment_id: self.experiment(experiment)?, ..Exported::default() };
        let there = self.runs(&exported.experiment_id)?;
        for record in records(run, rows) {
            let checksum = checksum(&record);
            match there.get(&record.digest) {
                Some(found) if found.exported.as_ref() == Some(&checksum) => exported.unchanged += 1,
                Some(found) => {
                    self.tell(&record, found, &checksum)?;
                    exported.updated += 1;
                }
                None => {
                    let made = self.make(&exported.experiment_id, &record, now)?;
                    self.tell(&record, &made, &checksum)?;
                    exported.created += 1;
                }
            }
        }
        Ok(exported)
    }

    /// The id of the experiment of this name, which is made where there is none.
    fn experiment(&self, name: &str) -> Result<String, MlflowError> {
        let path = "experiments/get-by-name";
        let request = self.agent.get(self.url(path)).query("experiment_name", name);
        let found = match self.answer(path, self.authorised(request).call()) {
            Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {
                let made = self.post("experiments/create", &json!({ "name": name }))?;
                return self.text(path, &made, &["experiment_id"]);
            }
            found => found?,
        };
        if found["experiment"]["lifecycle_stage"] == "deleted" {
            return Err(MlflowError::Deleted { name: name.to_owned() });
        }
        self.text(path, &found, &["experiment", "experiment_id"])
    }

    /// The runs of an experiment that are cells of ours, by digest.
    fn runs(&self, experiment_id: &str) -> Result<HashMap<String, There>, MlflowError> {
        let path = "runs/search";
        let mut all = HashMap::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let mut query = json!({ "experiment_ids": [experiment_id], "max_results": 100, "order_by": ["attributes.start_time ASC"] });
            if !token.is_empty() {
                query["page_token"] = json!(token);
            }
            let page = self.post(path, &query)?;
            for run in page["runs"].as_array().into_iter().flatten() {
                let tags = run["data"]["tags"].as_array().into_iter().flatten();
                let tags: HashMap<&str, &str> =
                    tags.filter_map(|tag| Some((tag["key"].as_str()?, tag["value"].as_str()?))).collect();
                let Some(digest) = tags.get(DIGEST) else { continue };
                let exported = tags.get(EXPORTED).map(|value| (*value).to_owned());
                let started = run["info"]["start_time"].as_i64().unwrap_or(0);
                let there = There { run_id: self.text(path, run, &["info", "run_id"])?, started, exported };
                // Of two, which only two exports at once can make, the older one is kept up to date.
                all.entry((*digest).to_owned()).or_insert(there);
            }
            match page["next_page_token"].as_str() {
                Some(next) if !next.is_empty() && next != token => next.clone_into(&mut token),
                _ => return Ok(all),
            }
        }
        Ok(all)
    }

    fn make(&self, experiment_id: &str, record: &Record, now: i64) -> Result<There, MlflowError> {
        let tags: Vec<Value> = record.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let run = json!({ "experiment_id": experiment_id, "run_name": record.name, "start_time": now, "tags": tags });
        let made = self.post("runs/create", &run)?;
        Ok(There { run_id: self.text("runs/create", &made, &["run", "info", "run_id"])?, started: now, exported: None })
    }

    /// Parameters, metrics, the end, and that all was told.
    fn tell(&self, record: &Record, there: &There, checksum: &str) -> Result<(), MlflowError> {
        let pairs = |all: &[(String, String)]| -> Vec<Value> {
            all.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
        };
        for params in record.params.chunks(MOST_PARAMS) {
            self.post("runs/log-batch", &json!({ "run_id": there.run_id, "params": pairs(params) }))?;
        }
        for metrics in record.metrics.chunks(MOST_METRICS) {
            let metrics: Vec<Value> = metrics
                .iter()
                .map(|m| json!({ "key": m.key, "value": m.value, "timestamp": there.started, "step": m.step }))
                .collect();
            self.post("runs/log-batch", &json!({ "run_id": there.run_id, "metrics": metrics }))?;
        }
        let end = there.started.saturating_add((record.seconds * 1000.0) as i64);
        self.post("runs/update", &json!({ "run_id": there.run_id, "status": record.status, "end_time": end }))?;
        let mut tags = record.tags.clone();
        tags.push((EXPORTED.to_owned(), checksum.to_owned()));
        self.post("runs/log-batch", &json!({ "run_id": there.run_id, "tags": pairs(&tags) }))?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/2.0/mlflow/{path}", self.base)
    }

    fn authorised<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, MlflowError> {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        self.answer(path, self.authorised(request).send(body.to_string()))
    }

    fn answer(&self, path: &str, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, MlflowError> {
        let silent = |e: ureq::Error| MlflowError::Silent { url: self.url(path), problem: e.to_string() };
        let mut response = response.map_err(silent)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string().map_err(silent)?;
        let value = serde_json::from_str::<Value>(&body).ok().filter(Value::is_object);
        if (200..300).contains(&status) {
            return value.ok_or_else(|| self.strange(path, "a JSON object", &body));
        }
        let part = |name: &str| value.as_ref().and_then(|v| v[name].as_str()).map(str::to_owned);
        Err(MlflowError::Refused {
            url: self.url(path),
            status,
            code: part("error_code").unwrap_or_default(),
            message: part("message").unwrap_or_else(|| beginning(&body)),
        })
    }

    /// The text at this place of an answer.
    fn text(&self, path: &str, answer: &Value, place: &[&str]) -> Result<String, MlflowError> {
        let found = place.iter().fold(answer, |value, key| &value[*key]);
        let text = found.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text.ok_or_else(|| self.strange(path, place.last().copied().unwrap_or_default(), &answer.to_string()))
    }

    fn strange(&self, path: &str, expected: &str, found: &str) -> MlflowError {
        MlflowError::Strange { url: self.url(path), expected: expected.to_owned(), found: beginning(found) }
    }
}

/// As much of an answer as helps.
fn beginning(text: &str) -> String {
    let short: String = text.trim().chars().take(200).collect();
    if short.is_empty() { "nothing".to_owned() } else { short }
}

/// 64-bit FNV-1a of a record as JSON, in hexadecimal.
fn checksum(record: &Record) -> String {
    let json = serde_json::to_string(record).unwrap_or_default();
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", json.bytes().fold(0xcbf2_9ce4_8422_2325, add))
}
