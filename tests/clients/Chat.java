// What a Java program does with its standard library: one streamed chat completion, its words on standard output.
// The argument names which of Java's clients; a proxy that asks who calls is shown SEKISHO_TOKEN.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class Chat {
  static final String ASK =
      "{\"model\":\"gpt-4o\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"\u5929\u6c17\"}]}";
  static final Pattern WORDS = Pattern.compile("\"delta\": *\\{[^}]*\"content\": *\"([^\"]*)\"");

  public static void main(String[] arguments) throws Exception {
    String base = System.getenv("OPENAI_BASE_URL");
    URI address = URI.create((base == null ? "https://api.openai.com/v1" : base) + "/chat/completions");
    StringBuilder said = new StringBuilder();
    try (InputStream answer = asked(arguments[0], address);
        BufferedReader lines = new BufferedReader(new InputStreamReader(answer, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Matcher words = WORDS.matcher(line);
        while (words.find()) said.append(words.group(1));
      }
    }
    new PrintStream(System.out, true, "UTF-8").println(said);
  }

  static InputStream asked(String client, URI address) throws Exception {
    switch (client) {
      case "HttpClient": return byClient(address, HttpClient.Version.HTTP_2);
      case "HttpClient, HTTP/1.1": return byClient(address, HttpClient.Version.HTTP_1_1);
      case "HttpURLConnection": return byConnection(address);
      default: throw new IllegalArgumentException(client);
    }
  }

  static InputStream byClient(URI address, HttpClient.Version version) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(address)
        .header("Authorization", "Bearer " + System.getenv("OPENAI_API_KEY"))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(ASK))
        .build();
    HttpClient.Builder client = HttpClient.newBuilder().version(version);
    if (System.getenv("SEKISHO_TOKEN") != null) client.authenticator(new Token());
    HttpResponse<InputStream> answer = client.build().send(request, HttpResponse.BodyHandlers.ofInputStream());
    if (answer.statusCode() == 200) return answer.body();
    InputStream why = answer.body(); // of a CONNECT there is none
    throw new IOException(
        answer.statusCode() + (why == null ? "" : " " + new String(why.readAllBytes(), StandardCharsets.UTF_8)));
  }

  static InputStream byConnection(URI address) throws IOException {
    Authenticator.setDefault(new Token());
    HttpURLConnection connection = (HttpURLConnection) address.toURL().openConnection();
    connection.setRequestProperty("Authorization", "Bearer " + System.getenv("OPENAI_API_KEY"));
    connection.setRequestProperty("Content-Type", "application/json");
    connection.setDoOutput(true);
    try (OutputStream body = connection.getOutputStream()) {
      body.write(ASK.getBytes(StandardCharsets.UTF_8));
    }
    return connection.getInputStream();
  }

  static class Token extends Authenticator {
    @Override
    protected PasswordAuthentication getPasswordAuthentication() {
      String token = System.getenv("SEKISHO_TOKEN");
      return getRequestorType() == RequestorType.PROXY && token != null
          ? new PasswordAuthentication("token", token.toCharArray())
          : null;
    }
  }
}
