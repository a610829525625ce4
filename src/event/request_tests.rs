//! What is read of requests: as `tests/requests.json` says, which the tests of the bindings read too, and of any bytes.

use serde_json::Value;

use super::*;

fn request(query: &str, headers: &[(&str, &[u8])]) -> Request {
    let header = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
    let addr = ([127, 0, 0, 1], 1).into();
    Request::new(addr, "/".into(), query.into(), headers.iter().map(header).collect())
}

#[test]
fn a_request_is_read_as_in_every_language() {
    let cases: Value = serde_json::from_str(include_str!("../../tests/requests.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    // Each character of a header is a byte.
    let bytes = |value: &Value| text(value).chars().map(|char| char as u8).collect::<Vec<_>>();
    let mut count = 0;
    for case in cases["queries"].as_array().unwrap() {
        let request = request(&text(&case[0]), &[]);
        let found = request.query_value(&text(&case[1]));
        assert_eq!(found.as_deref(), case[2].as_str(), "{case}");
        count += 1;
    }
    for case in cases["cookies"].as_array().unwrap() {
        let lines: Vec<_> = case[0].as_array().unwrap().iter().map(bytes).collect();
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", &**line)).collect();
        assert_eq!(request("", &headers).cookie(&text(&case[1])), case[2].as_str(), "{case}");
        count += 1;
    }
    for case in cases["bearers"].as_array().unwrap() {
        let lines: Vec<_> = case[0].as_array().unwrap().iter().map(bytes).collect();
        let headers: Vec<_> = lines.iter().map(|line| ("authorization", &**line)).collect();
        assert_eq!(request("", &headers).bearer(), case[1].as_str(), "{case}");
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[test]
fn nothing_is_copied_that_needs_no_decoding() {
    let request = request("a=plain&b=a+b", &[]);
    assert!(matches!(request.query_value("a"), Some(Cow::Borrowed("plain"))));
    assert!(matches!(request.query_value("b"), Some(Cow::Owned(_))));
}

#[test]
fn of_any_bytes_no_value_is_more_than_was_sent_and_what_was_encoded_is_found() {
    let mut state = 7_u64;
    let mut next = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let alphabet = b"ab=;&%+ \t\"2fF0\xc3\xa9\x80\xff,Bearer ";
    for _ in 0..100_000 {
        let mut bytes: Vec<_> =
            (0..next(40)).map(|_| alphabet[next(alphabet.len())]).collect::<Vec<u8>>();
        if next(4) == 0 {
            bytes.splice(0..0, *b"Bearer ");
        }
        let query = String::from_utf8_lossy(&bytes).into_owned();
        let headers = [("cookie", &*bytes), ("authorization", &*bytes), ("cookie", &*bytes)];
        let asked = request(&query, &headers);
        for name in ["", "a", "ab", "b=", "é", " "] {
            assert!(asked.query_value(name).is_none_or(|value| value.len() <= query.len()));
            let cookie = asked.cookie(name);
            assert!(cookie.is_none_or(|value| value == value.trim_matches([' ', '\t'])));
        }
        assert!(asked.bearer().is_none_or(|token| !token.is_empty() && !token.contains(' ')));
        // What a browser encodes comes back.
        let name: String = (0..1 + next(5)).map(|_| ['a', '=', 'é', '%'][next(4)]).collect();
        let encoded = form_urlencoded::Serializer::new(String::new())
            .append_pair(&name, &query)
            .append_pair(&name, "another")
            .finish();
        assert_eq!(request(&encoded, &[]).query_value(&name).as_deref(), Some(&*query));
    }
}
