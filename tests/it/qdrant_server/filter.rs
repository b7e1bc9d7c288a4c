//! The wire's filters in the model's. What is not understood is an error, never ignored.

use ::qdrant_client::qdrant as wire;
use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use tonic::Status;

use super::convert::{id, invalid, odd, path, without};
use super::model::{Condition, Filter, Range, Test};

pub(super) fn filter(filter: wire::Filter) -> Result<Filter, Status> {
    let wire::Filter { should, must, must_not, min_should } = filter;
    without(min_should, "`min_should`")?;
    let all = |conditions: Vec<wire::Condition>| conditions.into_iter().map(condition).collect::<Result<_, _>>();
    Ok(Filter { must: all(must)?, should: all(should)?, must_not: all(must_not)? })
}

fn condition(condition: wire::Condition) -> Result<Condition, Status> {
    match condition.condition_one_of {
        Some(ConditionOneOf::HasId(has)) => Ok(Condition::HasId(has.has_id.into_iter().map(id).collect::<Result<_, _>>()?)),
        Some(ConditionOneOf::Filter(nested)) => Ok(Condition::Filter(filter(nested)?)),
        Some(ConditionOneOf::Field(field)) => field_condition(field),
        _ => Err(odd("this condition")),
    }
}

fn field_condition(condition: wire::FieldCondition) -> Result<Condition, Status> {
    let wire::FieldCondition {
        key,
        r#match,
        range,
        geo_bounding_box,
        geo_radius,
        values_count,
        geo_polygon,
        datetime_range,
        is_empty,
        is_null,
    } = condition;
    without(geo_bounding_box, "places")?;
    without(geo_radius, "places")?;
    without(geo_polygon, "places")?;
    without(values_count, "counts of values")?;
    without(datetime_range, "ranges of dates")?;
    without(is_empty, "`is_empty`")?;
    without(is_null, "`is_null`")?;
    let test = match (r#match, range) {
        (Some(_), Some(_)) => return Err(odd("a match and a range in one condition")),
        (Some(wanted), None) => test(wanted)?,
        (None, Some(wire::Range { lt, gt, gte, lte })) => Test::Range(Range { lt, gt, lte, gte }),
        (None, None) => {
            return Err(invalid("match", "Validation error: At least one field condition must be specified [{}]"));
        }
    };
    Ok(Condition::Field(path(&key)?, test))
}

fn test(wanted: wire::Match) -> Result<Test, Status> {
    match wanted.match_value {
        Some(MatchValue::Keyword(keyword)) => Ok(Test::Keyword(keyword)),
        Some(MatchValue::Keywords(keywords)) => Ok(Test::Keywords(keywords.strings.into_iter().collect())),
        Some(MatchValue::Boolean(value)) => Ok(Test::Boolean(value)),
        Some(MatchValue::Integer(value)) => Ok(Test::Integer(value)),
        Some(_) => Err(odd("this match")),
        None => Err(Status::invalid_argument("Malformed Match condition")),
    }
}
